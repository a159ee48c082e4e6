// SPDX-License-Identifier: Apache-2.0
// The stimuli of shim-protocol.md 1.5 against the real server over a real socket.
#include "ttrpc/server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <future>

#include "ttrpc/served.h"

namespace ctrd::ttrpc {
namespace {

Code code_of(const Response& response) {
  return response.error ? response.error->code() : Code::kOk;
}

std::string encoded(const std::string& method) { return encode(request(method, "hello")); }

struct Stimulus {
  const char* name;
  Header header;  // length 0: that of the data
  std::string data;
  std::optional<Code> answer;  // nullopt: silence
};

std::vector<Stimulus> stimuli() {
  std::string echo = encoded("Echo");
  Request other = request("Echo");
  other.service = "other";
  return {
      {"request", {.stream = 1, .type = 1}, echo, Code::kOk},
      {"gap in ids", {.stream = 0x7FFFFFFF, .type = 1}, echo, Code::kOk},
      {"highest odd id", {.stream = 0xFFFFFFFF, .type = 1}, echo, Code::kOk},
      {"even id", {.stream = 2, .type = 1}, echo, Code::kInvalidArgument},
      {"id 0", {.stream = 0, .type = 1}, echo, Code::kInvalidArgument},
      {"undecodable", {.stream = 1, .type = 1}, "\x0a\xff garbage", Code::kInvalidArgument},
      {"unknown method", {.stream = 1, .type = 1}, encoded("Nothing"), Code::kUnimplemented},
      {"unknown service", {.stream = 1, .type = 1}, encode(other), Code::kUnimplemented},
      {"empty request", {.stream = 1, .type = 1}, "", Code::kUnimplemented},
      {"type 0", {.stream = 1, .type = 0}, echo, std::nullopt},
      {"response to a server", {.stream = 1, .type = 2}, echo, std::nullopt},
      {"data for no stream", {.stream = 1, .type = 3}, echo, Code::kInvalidArgument},
      {"type 4", {.stream = 1, .type = 4}, echo, std::nullopt},
      {"type 9", {.stream = 1, .type = 9}, echo, std::nullopt},
      {"type 255", {.stream = 1, .type = 255}, "", std::nullopt},
      {"flag remote-closed", {.stream = 1, .type = 1, .flags = 1}, echo, Code::kOk},
      {"flag remote-open", {.stream = 1, .type = 1, .flags = 2}, echo, Code::kOk},
      {"all flags", {.stream = 1, .type = 1, .flags = 255}, echo, Code::kOk},
      {"4 MiB of garbage",
       {.stream = 1, .type = 1},
       std::string(kMaxFrame, '\xff'),
       Code::kInvalidArgument},
      {"4 MiB + 1",
       {.stream = 1, .type = 1},
       std::string(kMaxFrame + 1, 'x'),
       Code::kResourceExhausted},
      {"an error", {.stream = 1, .type = 1}, encoded("Fail"), Code::kNotFound},
      {"another exception", {.stream = 1, .type = 1}, encoded("Throw"), Code::kInternal},
  };
}

void expect_echo(Peer& peer, uint32_t stream) {
  peer.send_request(stream, request("Echo", "still there"));
  Peer::Answer answer = peer.read();
  EXPECT_EQ(answer.header.stream, stream);
  EXPECT_EQ(answer.response.payload, "still there");
}

TEST(Server, AnswersEachStimulus) {
  Served served;
  for (Stimulus& s : stimuli()) {
    SCOPED_TRACE(s.name);
    Peer peer(served);
    s.header.length = static_cast<uint32_t>(s.data.size());
    peer.send_frame(s.header, s.data);
    if (s.answer) {
      Peer::Answer answer = peer.read();
      EXPECT_EQ(answer.header.stream, s.header.stream);
      EXPECT_EQ(answer.header.type, 2);
      EXPECT_EQ(answer.header.flags, 0);
      EXPECT_EQ(code_of(answer.response), *s.answer);
    }
    // The connection survives every one of them; an id that was taken is not to be had again.
    Peer next(served);
    expect_echo(next, 1);
    if (s.header.stream < 0x7FFFFFFF) expect_echo(peer, 0x7FFFFFFF);
  }
}

TEST(Server, RefusesAnIdTwiceAndALowerOne) {
  Served served;
  Peer peer(served);
  expect_echo(peer, 5);
  for (uint32_t stream : {5u, 3u, 1u}) {
    peer.send_request(stream, request("Echo"));
    EXPECT_EQ(code_of(peer.read().response), Code::kInvalidArgument);
  }
  expect_echo(peer, 7);
}

TEST(Server, ErrorsCrossTheWireWhole) {
  Served served;
  Peer peer(served);
  peer.send_request(1, request("Fail"));
  Error error = peer.read().response.error.value();
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_EQ(error.kind(), Kind::kTask);
  EXPECT_EQ(error.sys_errno(), ENOENT);
  EXPECT_EQ(error.message(), "container x");  // containerd's tail is stripped
  EXPECT_EQ(error.context(), (Context{{"field", "id"}, {"value", "x"}}));
}

TEST(Server, AnEmptyAnswerIsAFrameOfNoData) {
  Served served;
  Peer peer(served);
  peer.send_request(1, request("Echo"));
  Peer::Answer answer = peer.read();
  EXPECT_EQ(answer.header.length, 0u);
  EXPECT_EQ(code_of(answer.response), Code::kOk);
}

TEST(Server, AnswersAreNeverLargerThanTheLimit) {
  Served served;
  Peer peer(served);
  std::size_t overhead =
      encode(Response{.error = {}, .payload = std::string(kMaxFrame - 100, 'x')}).size() -
      (kMaxFrame - 100);
  peer.send_request(1, request("Big", std::to_string(kMaxFrame - overhead)));
  Peer::Answer largest = peer.read();
  EXPECT_EQ(largest.header.length, kMaxFrame);
  EXPECT_EQ(code_of(largest.response), Code::kOk);
  peer.send_request(3, request("Big", std::to_string(kMaxFrame - overhead + 1)));
  EXPECT_EQ(code_of(peer.read().response), Code::kResourceExhausted);
  expect_echo(peer, 5);
}

TEST(Server, TakesAFrameByteByByte) {
  Served served;
  Peer peer(served);
  std::string frame = encode_frame(FrameType::kRequest, 1, encode(request("Echo", "slowly")));
  for (char byte : frame) peer.send(std::string_view(&byte, 1));
  EXPECT_EQ(peer.read().response.payload, "slowly");
  expect_echo(peer, 3);
}

TEST(Server, TakesManyFramesInOneWrite) {
  Served served;
  Peer peer(served);
  std::string frames;
  for (uint32_t i = 0; i < 300; ++i)
    frames +=
        encode_frame(FrameType::kRequest, 2 * i + 1, encode(request("Echo", std::to_string(i))));
  std::thread sender([&] { peer.send(frames); });
  std::set<std::string> answers;
  for (int i = 0; i < 300; ++i) answers.insert(peer.read().response.payload);
  sender.join();
  EXPECT_EQ(answers.size(), 300u);
}

TEST(Server, AParkedRequestDoesNotHoldUpOthers) {
  Served served;
  Peer peer(served);
  peer.send_request(1, request("Park"));
  for (uint32_t stream = 3; stream < 103; stream += 2) expect_echo(peer, stream);
  EXPECT_EQ(served.under_way(), 1u);
}

TEST(Server, RefusesTheRequestBeyondTheLimitOfAConnection) {
  Served served;
  Peer peer(served);
  for (uint32_t i = 0; i < 300; ++i) peer.send_request(2 * i + 1, request("Park"));
  for (int i = 0; i < 44; ++i) {
    Peer::Answer answer = peer.read();
    EXPECT_EQ(code_of(answer.response), Code::kResourceExhausted);
    EXPECT_GT(answer.header.stream, 512u);
  }
  EXPECT_EQ(served.under_way(), 256u);
  Peer other(served);
  expect_echo(other, 1);
}

TEST(Server, CancelsARequestWhenItsConnectionCloses) {
  Served served;
  Peer stays(served), goes(served);
  stays.send_request(1, request("Park"));
  goes.send_request(1, request("Park"));
  ASSERT_TRUE(becomes_true([&] { return served.parked == 2; }));
  goes.close();
  ASSERT_TRUE(becomes_true([&] { return served.cancelled == 1; }));
  EXPECT_EQ(served.under_way(), 1u);
  expect_echo(stays, 3);
}

TEST(Server, TellsWhenACallerHasGone) {
  Served served;
  Peer one(served), other(served);
  one.send_request(1, request("Note", "1"));
  one.read();
  one.send_request(3, request("Note", "2"));
  one.read();
  other.send_request(1, request("Note", "3"));
  other.read();
  EXPECT_EQ(served.gone, 0);
  one.close();
  EXPECT_TRUE(becomes_true([&] { return served.gone == 12; })) << served.gone;
  other.close();
  EXPECT_TRUE(becomes_true([&] { return served.gone == 123; })) << served.gone;
}

TEST(Server, ATimeoutBecomesADeadline) {
  Served served;
  Peer peer(served);
  peer.send_request(1, request("Park", "", 20'000'000));
  EXPECT_EQ(code_of(peer.read().response), Code::kDeadlineExceeded);
  ASSERT_TRUE(becomes_true([&] { return served.cancelled == 1; }));
  ASSERT_TRUE(becomes_true([&] { return served.under_way() == 0; }));
  peer.send_request(3, request("Park", "", -1));
  EXPECT_EQ(code_of(peer.read().response), Code::kDeadlineExceeded);
  peer.send_request(5, request("Echo", "x", INT64_MAX));
  EXPECT_EQ(peer.read().response.payload, "x");
  peer.send_request(7, request("Park", "", INT64_MAX));
  expect_echo(peer, 9);
}

TEST(Server, ADeadlineIsAnsweredThoughTheHandlerGoesOn) {
  Served served;
  Peer peer(served);
  peer.send_request(1, request("Stubborn", "", 20'000'000));
  EXPECT_EQ(code_of(peer.read().response), Code::kDeadlineExceeded);
  EXPECT_EQ(served.under_way(), 1u);
  served.release();
  ASSERT_TRUE(becomes_true([&] { return served.under_way() == 0; }));
  expect_echo(peer, 3);  // its late answer was dropped
}

TEST(Server, CloseAnswersWhatIsUnderWayAndThenCallsIdle) {
  Served served;
  Peer peer(served);
  peer.send_request(1, request("Stubborn"));
  ASSERT_TRUE(becomes_true([&] { return served.parked == 1; }));
  std::promise<void> idle;
  std::atomic<bool> is_idle = false;
  served.close_server([&] {
    is_idle = true;
    idle.set_value();
  });
  peer.send_request(3, request("Echo"));
  EXPECT_EQ(code_of(peer.read().response), Code::kUnavailable);
  EXPECT_FALSE(is_idle);
  served.release();
  EXPECT_EQ(peer.read().response.payload, "late");
  idle.get_future().get();
  EXPECT_THROW(Peer{served}, Error);
}

TEST(Server, CloseWithNothingUnderWayIsIdleAtOnce) {
  Served served;
  std::promise<void> idle;
  served.close_server([&] { idle.set_value(); });
  idle.get_future().get();
}

}  // namespace
}  // namespace ctrd::ttrpc
