// SPDX-License-Identifier: Apache-2.0
// Envelopes against protoc's classes, both ways; and bytes that are no message.
#include "ttrpc/frame.h"

#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <random>

#include "ttrpc.pb.h"
#include "ttrpc/codec.h"

namespace ctrd::ttrpc {
namespace {

namespace oracle = ::ttrpc;

Request full_request() {
  return {
      .service = "containerd.task.v2.Task",
      .method = "Create",
      .payload = std::string("\x00\xff bytes", 8),
      .timeout_ns = -5,
      .metadata = {{"containerd-namespace-ttrpc", "default"}, {"k", "1"}, {"k", "2"}, {"", ""}}};
}

TEST(Frame, HeaderIsBigEndian) {
  auto bytes = encode_header({.length = 0x01020304, .stream = 0xA0B0C0D0, .type = 2, .flags = 7});
  EXPECT_EQ(std::string(bytes.data(), bytes.size()),
            std::string("\x01\x02\x03\x04\xA0\xB0\xC0\xD0\x02\x07", 10));
  Header header = decode_header(bytes.data());
  EXPECT_EQ(header.length, 0x01020304u);
  EXPECT_EQ(header.stream, 0xA0B0C0D0u);
  EXPECT_EQ(header.type, 2);
  EXPECT_EQ(header.flags, 7);
}

TEST(Frame, TakesDataUpToTheLimit) {
  EXPECT_EQ(encode_frame(FrameType::kRequest, 1, std::string(kMaxFrame, 'x')).size(),
            kMaxFrame + kHeaderSize);
  try {
    encode_frame(FrameType::kRequest, 1, std::string(kMaxFrame + 1, 'x'));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kResourceExhausted);
  }
}

TEST(Frame, ProtocReadsOurRequest) {
  oracle::Request theirs;
  ASSERT_TRUE(theirs.ParseFromString(encode(full_request())));
  EXPECT_EQ(theirs.service(), "containerd.task.v2.Task");
  EXPECT_EQ(theirs.method(), "Create");
  EXPECT_EQ(theirs.payload(), full_request().payload);
  EXPECT_EQ(theirs.timeout_nano(), -5);
  ASSERT_EQ(theirs.metadata_size(), 4);
  EXPECT_EQ(theirs.metadata(2).key(), "k");
  EXPECT_EQ(theirs.metadata(2).value(), "2");
  EXPECT_EQ(encode(Request{}), "");
}

TEST(Frame, WeReadProtocsRequest) {
  oracle::Request theirs;
  ASSERT_TRUE(theirs.ParseFromString(encode(full_request())));
  Request ours = decode_request(theirs.SerializeAsString());
  EXPECT_EQ(ours.service, full_request().service);
  EXPECT_EQ(ours.method, full_request().method);
  EXPECT_EQ(ours.payload, full_request().payload);
  EXPECT_EQ(ours.timeout_ns, -5);
  EXPECT_EQ(ours.metadata, full_request().metadata);
}

TEST(Frame, ProtocReadsOurError) {
  Error error = Error(Code::kAborted, "why", Kind::kExit, EIO).with("a", "1").with("b", "");
  oracle::Response theirs;
  ASSERT_TRUE(theirs.ParseFromString(encode(Response{.error = error, .payload = "ignored"})));
  EXPECT_EQ(theirs.payload(), "");
  EXPECT_EQ(theirs.status().code(), 10);
  EXPECT_EQ(theirs.status().message(), "why");
  ASSERT_EQ(theirs.status().details_size(), 1);
  EXPECT_EQ(theirs.status().details(0).type_url(), "ctrd.v1.ErrorDetail");
  oracle::ErrorDetail detail;
  ASSERT_TRUE(detail.ParseFromString(theirs.status().details(0).value()));
  EXPECT_EQ(detail.kind(), 10);
  EXPECT_EQ(detail.sys_errno(), EIO);
  ASSERT_EQ(detail.context_size(), 2);
  EXPECT_EQ(detail.context(0).value(), "1");
  EXPECT_EQ(detail.context(1).key(), "b");
}

TEST(Frame, AnErrorWithoutDetailHasNone) {
  oracle::Response theirs;
  ASSERT_TRUE(theirs.ParseFromString(
      encode(Response{.error = Error(Code::kNotFound, "x: not found"), .payload = {}})));
  EXPECT_EQ(theirs.status().details_size(), 0);
  EXPECT_EQ(theirs.status().message(), "x: not found");
}

TEST(Frame, SuccessHasNoStatus) {
  oracle::Response theirs;
  ASSERT_TRUE(theirs.ParseFromString(encode(Response{.error = {}, .payload = "p"})));
  EXPECT_FALSE(theirs.has_status());
  EXPECT_EQ(theirs.payload(), "p");
}

oracle::Response status(int code, const std::string& message) {
  oracle::Response response;
  response.mutable_status()->set_code(code);
  response.mutable_status()->set_message(message);
  return response;
}

Response received(const oracle::Response& theirs) {
  return decode_response(theirs.SerializeAsString());
}

TEST(Frame, EveryCodeComesBack) {
  for (int code = 1; code <= 16; ++code)
    EXPECT_EQ(static_cast<int>(received(status(code, "m")).error.value().code()), code);
  for (int code : {17, -1, INT32_MIN, INT32_MAX})
    EXPECT_EQ(received(status(code, "m")).error.value().code(), Code::kUnknown);
  EXPECT_FALSE(received(status(0, "m")).error);
}

TEST(Frame, ContainerdsTailIsStripped) {
  struct Row {
    int code;
    const char *sent, *want;
  };
  for (Row row : {Row{5, "container x: not found", "container x"}, Row{6, "x: already exists", "x"},
                  Row{3, "x: invalid argument", "x"}, Row{9, "x: failed precondition", "x"},
                  Row{12, "x: not implemented", "x"}, Row{14, "x: unavailable", "x"},
                  Row{2, "x: unknown", "x"}, Row{5, "x: already exists", "x: already exists"},
                  Row{5, "not found", "not found"}, Row{5, "x: not found: y", "x: not found: y"},
                  Row{13, "x: internal", "x: internal"}})
    EXPECT_EQ(received(status(row.code, row.sent)).error.value().message(), row.want);
}

TEST(Frame, ForeignDetailsAreIgnoredAndAPrefixIsNot) {
  oracle::Response theirs = status(5, "m");
  auto* foreign = theirs.mutable_status()->add_details();
  foreign->set_type_url("google.rpc.ErrorInfo");
  foreign->set_value("\xff\xff\xff");
  oracle::ErrorDetail detail;
  detail.set_kind(2);
  auto* ours = theirs.mutable_status()->add_details();
  ours->set_type_url("type.googleapis.com/ctrd.v1.ErrorDetail");
  ours->set_value(detail.SerializeAsString());
  EXPECT_EQ(received(theirs).error.value().kind(), Kind::kTask);
  detail.set_kind(999);
  ours->set_value(detail.SerializeAsString());
  EXPECT_EQ(received(theirs).error.value().kind(), Kind::kNone);
}

TEST(Frame, UndecodableBytesHaveACode) {
  std::string bad = "\x0a\x7f";
  try {
    decode_request(bad);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kInvalidArgument);
    EXPECT_EQ(e.find("message"), "ttrpc.Request");
  }
  try {
    decode_response(bad);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kDataLoss);
  }
}

TEST(Frame, UnknownFieldsAreSkipped) {
  std::string unknown("\x78\x05\x7d\x01\x02\x03\x04\x79\x01\x02\x03\x04\x05\x06\x07\x08\x7a\x02hi",
                      20);
  std::string bytes = unknown + encode(full_request()) + unknown;
  EXPECT_EQ(encode(decode_request(bytes)), encode(full_request()));
}

TEST(Frame, AFieldOfAnotherWireTypeIsUnknown) {
  std::string bytes(
      "\x08\x05\x12\x04"
      "Ping",
      8);  // field 1 as a number
  Request request = decode_request(bytes);
  EXPECT_EQ(request.service, "");
  EXPECT_EQ(request.method, "Ping");
}

TEST(Frame, MessagesMetTwiceAreMerged) {
  std::string bytes = status(5, "").SerializeAsString() + status(0, "merged").SerializeAsString();
  Error error = decode_response(bytes).error.value();
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_EQ(error.message(), "merged");
}

// Never a crash: a message or an Error.
template <typename F>
bool decodes(F decode, std::string_view bytes) {
  std::string copy(bytes);  // so that a sanitizer sees a byte read beyond it
  try {
    decode(copy);
    return true;
  } catch (const Error&) {
    return false;
  }
}

TEST(Frame, TruncatedAnywhereIsNoCrash) {
  std::string request = encode(full_request());
  std::string response = encode(Response{
      .error = Error(Code::kAborted, "why", Kind::kExit, EIO).with("a", "1"), .payload = {}});
  for (std::size_t size = 0; size < request.size(); ++size)
    decodes(decode_request, request.substr(0, size));
  for (std::size_t size = 0; size < response.size(); ++size)
    decodes(decode_response, response.substr(0, size));
}

// protoc's reading in our bytes, without what it does not know; nullopt: it refuses them.
std::optional<std::string> as_protoc_reads(const std::string& bytes) {
  oracle::Request theirs;
  if (!theirs.ParseFromString(bytes)) return std::nullopt;
  theirs.DiscardUnknownFields();
  return theirs.SerializeAsString();
}

std::string fuzzed(std::string bytes, std::mt19937& random) {
  for (auto n = random() % 4 + 1; n > 0; --n)
    bytes[random() % bytes.size()] = static_cast<char>(random());
  if (random() % 4 == 0) bytes.resize(random() % bytes.size());
  return bytes;
}

// The two differ only over tags beyond 32 bits (we cut them) and groups (we refuse them).
TEST(Frame, FuzzedRequestsAreReadAsProtocReadsThem) {
  google::protobuf::LogSilencer quiet;
  std::mt19937 random(20240611);
  int differ = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string bytes = fuzzed(encode(full_request()), random);
    auto theirs = as_protoc_reads(bytes);
    bool ours = decodes(decode_request, bytes);
    if (ours != theirs.has_value())
      ++differ;
    else if (ours) {
      ASSERT_EQ(encode(decode_request(bytes)), *theirs) << escaped(bytes);
    }
  }
  EXPECT_LT(differ, 500);
}

TEST(Frame, FuzzedResponsesAreNoCrash) {
  std::mt19937 random(20240612);
  Error error = Error(Code::kAborted, "why", Kind::kExit, EIO).with("a", "1");
  for (int round = 0; round < 30'000; ++round)
    decodes(decode_response, fuzzed(encode(Response{.error = error, .payload = {}}), random));
}

TEST(Frame, Utf8IsWhatTheStandardSays) {
  for (std::string_view good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                                "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (std::string_view bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xED\xA0\x80",
        "\xE2\x82", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

}  // namespace
}  // namespace ctrd::ttrpc
