// SPDX-License-Identifier: Apache-2.0
#include "ttrpc/frame.h"

#include "ttrpc/codec.h"

namespace ctrd::ttrpc {

static void fields(auto& v, Is<Request> auto& m) {
  v(1, m.service), v(2, m.method), v.bytes(3, m.payload), v(4, m.timeout_ns), v(5, m.metadata);
}

namespace {

constexpr std::string_view kDetailType = "ctrd.v1.ErrorDetail";

struct Detail {  // ctrd.v1.ErrorDetail
  int32_t kind = 0;
  int32_t sys_errno = 0;
  Context context;
};
void fields(auto& v, Is<Detail> auto& m) { v(1, m.kind), v(2, m.sys_errno), v(3, m.context); }

struct AnyDetail {  // google.protobuf.Any
  std::string type_url, value;
};
void fields(auto& v, Is<AnyDetail> auto& m) { v(1, m.type_url), v.bytes(2, m.value); }

struct Status {  // google.rpc.Status
  int32_t code = 0;
  std::string message;
  std::vector<AnyDetail> details;
};
void fields(auto& v, Is<Status> auto& m) { v(1, m.code), v(2, m.message), v(3, m.details); }

struct WireResponse {
  Status status;
  std::string payload;
};
void fields(auto& v, Is<WireResponse> auto& m) { v(1, m.status), v.bytes(2, m.payload); }

Status to_status(const Error& error) {
  Status status{
      .code = static_cast<int32_t>(error.code()), .message = error.message(), .details = {}};
  Detail detail{static_cast<int32_t>(error.kind()), error.sys_errno(), error.context()};
  std::string bytes = encode_message(detail);
  if (!bytes.empty()) status.details.push_back({std::string(kDetailType), std::move(bytes)});
  return status;
}

Code to_code(int32_t code) {
  return code > 0 && code <= 16 ? static_cast<Code>(code) : Code::kUnknown;
}

Kind to_kind(int32_t kind) {
  return kind >= 0 && kind <= static_cast<int32_t>(Kind::kExit) ? static_cast<Kind>(kind)
                                                                : Kind::kNone;
}

// containerd's words for a code, which it appends to messages. Source: shim-protocol.md 1.6
std::string_view canonical_tail(Code code) {
  switch (code) {
    case Code::kUnknown:
      return ": unknown";
    case Code::kInvalidArgument:
      return ": invalid argument";
    case Code::kNotFound:
      return ": not found";
    case Code::kAlreadyExists:
      return ": already exists";
    case Code::kFailedPrecondition:
      return ": failed precondition";
    case Code::kUnimplemented:
      return ": not implemented";
    case Code::kUnavailable:
      return ": unavailable";
    default:
      return "";
  }
}

std::string without_tail(std::string message, Code code) {
  std::string_view tail = canonical_tail(code);
  if (!tail.empty() && message.ends_with(tail)) message.resize(message.size() - tail.size());
  return message;
}

// Receivers since 1.7 accept a prefix up to the last '/', and so do we.
bool is_detail(std::string_view type_url) {
  return type_url.substr(type_url.rfind('/') + 1) == kDetailType;
}

Detail find_detail(const Status& status) {
  for (const AnyDetail& any : status.details)
    if (is_detail(any.type_url))
      return decode_message<Detail>(any.value, kDetailType, Code::kDataLoss);
  return {};
}

Error to_error(Status status) {
  Detail detail = find_detail(status);
  Code code = to_code(status.code);
  Error error(code, without_tail(std::move(status.message), code), to_kind(detail.kind),
              detail.sys_errno);
  for (auto& [key, value] : detail.context) error.with(std::move(key), std::move(value));
  return error;
}

void put_u32(char* to, uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<char>(value >> (24 - 8 * i));
}

uint32_t get_u32(const char* from) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(from[i]);
  return value;
}

}  // namespace

std::array<char, kHeaderSize> encode_header(const Header& header) {
  std::array<char, kHeaderSize> bytes{};
  put_u32(bytes.data(), header.length);
  put_u32(bytes.data() + 4, header.stream);
  bytes[8] = static_cast<char>(header.type);
  bytes[9] = static_cast<char>(header.flags);
  return bytes;
}

Header decode_header(const char* bytes) {
  return {.length = get_u32(bytes),
          .stream = get_u32(bytes + 4),
          .type = static_cast<uint8_t>(bytes[8]),
          .flags = static_cast<uint8_t>(bytes[9])};
}

std::string encode_frame(FrameType type, uint32_t stream, std::string_view data) {
  if (data.size() > kMaxFrame)
    throw Error(Code::kResourceExhausted, "a message of " + std::to_string(data.size()) +
                                              " bytes is larger than the limit of " +
                                              std::to_string(kMaxFrame));
  Header header{.length = static_cast<uint32_t>(data.size()),
                .stream = stream,
                .type = static_cast<uint8_t>(type)};
  auto bytes = encode_header(header);
  std::string frame;
  frame.reserve(bytes.size() + data.size());
  return frame.append(bytes.data(), bytes.size()).append(data);
}

std::string encode(const Request& request) { return encode_message(request); }

std::string encode(const Response& response) {
  WireResponse wire;
  if (response.error)
    wire.status = to_status(*response.error);
  else
    wire.payload = response.payload;
  return encode_message(wire);
}

Request decode_request(std::string_view bytes) {
  return decode_message<Request>(bytes, "ttrpc.Request", Code::kInvalidArgument);
}

Response decode_response(std::string_view bytes) {
  auto wire = decode_message<WireResponse>(bytes, "ttrpc.Response", Code::kDataLoss);
  Response response{.error = std::nullopt, .payload = std::move(wire.payload)};
  if (wire.status.code != 0) response.error = to_error(std::move(wire.status));
  return response;
}

}  // namespace ctrd::ttrpc
