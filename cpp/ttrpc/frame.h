// SPDX-License-Identifier: Apache-2.0
// ttrpc on the wire: the ten-byte header, Request and Response. Pure functions over bytes; no I/O,
// no coroutine, so that it can be fuzzed. Source: shim-protocol.md 1.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace ctrd::ttrpc {

constexpr std::size_t kHeaderSize = 10;
constexpr uint32_t kMaxFrame = 4u << 20;  // of data; exactly 4 MiB is allowed

enum class FrameType : uint8_t { kRequest = 1, kResponse = 2, kData = 3 };

struct Header {
  uint32_t length = 0;
  uint32_t stream = 0;
  uint8_t type = 0;
  uint8_t flags = 0;
};
std::array<char, kHeaderSize> encode_header(const Header& header);
Header decode_header(const char* bytes);  // kHeaderSize bytes; checks nothing
std::string encode_frame(FrameType type, uint32_t stream,
                         std::string_view data);  // kResourceExhausted beyond kMaxFrame

class Caller;  // server.h

struct Request {
  std::string service;
  std::string method;
  std::string payload;
  int64_t timeout_ns = 0;  // relative; 0: none
  std::vector<std::pair<std::string, std::string>> metadata;
  std::shared_ptr<Caller> caller = {};  // not sent: whose it is, for a server
};
struct Response {
  std::optional<Error> error;  // the status; absent on success
  std::string payload;
};
std::string encode(const Request& request);
std::string encode(const Response& response);    // code and message in Status, the rest as one Any
                                                 // ctrd.v1.ErrorDetail in its details
Request decode_request(std::string_view bytes);  // throws kInvalidArgument
Response decode_response(
    std::string_view bytes);  // throws kDataLoss; strips containerd's canonical tail ": not found"

}  // namespace ctrd::ttrpc
