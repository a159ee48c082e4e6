// SPDX-License-Identifier: Apache-2.0
#include "ttrpc/client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>

#include "base/files.h"
#include "ttrpc/served.h"

namespace ctrd::ttrpc {
namespace {

Wait patient() { return {.deadline = after(std::chrono::seconds(100)), .interrupted = {}}; }
Wait hasty() { return {.deadline = after(std::chrono::milliseconds(100)), .interrupted = {}}; }

template <typename F>
Code code_of(F f) {
  try {
    f();
    return Code::kOk;
  } catch (const Error& e) {
    return e.code();
  }
}

TEST(Client, CallsAndGetsThePayload) {
  Served served;
  EXPECT_EQ(call_at(served.dir(), "sock", request("Echo", "hello"), patient()), "hello");
  EXPECT_EQ(call_at(served.dir(), "sock", request("Echo"), {}), "");
  EXPECT_EQ(call_at(served.dir(), "sock", request("Big", "4000000"), patient()),
            std::string(4'000'000, 'b'));
  std::string large(kMaxFrame - 100, 'l');
  EXPECT_EQ(call_at(served.dir(), "sock", request("Echo", large), patient()), large);
}

TEST(Client, ThrowsThePeersError) {
  Served served;
  try {
    call_at(served.dir(), "sock", request("Fail"), patient());
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kNotFound);
    EXPECT_EQ(e.kind(), Kind::kTask);
    EXPECT_EQ(e.find("value"), "x");
  }
}

TEST(Client, NobodyThereIsUnavailable) {
  Served served;
  EXPECT_EQ(code_of([&] { call_at(served.dir(), "nothing", request("Echo"), patient()); }),
            Code::kUnavailable);
  create_file_at(served.dir(), "file", "", 0600);
  EXPECT_EQ(code_of([&] { call_at(served.dir(), "file", request("Echo"), patient()); }),
            Code::kUnavailable);
  EXPECT_EQ(
      code_of([&] { call_at(served.dir(), std::string(200, 'n'), request("Echo"), patient()); }),
      Code::kInvalidArgument);
}

TEST(Client, ADirectoryBeyond107BytesIsReached) {
  Served served;
  std::string deep = served.path();
  for (int i = 0; i < 3; ++i) ::mkdir((deep += "/" + std::string(100, 'd')).c_str(), 0700);
  ASSERT_EQ(::rename((served.path() + "/sock").c_str(), (deep + "/sock").c_str()), 0);
  UniqueFd dir = open_dir(deep);
  EXPECT_EQ(call_at(dir.get(), "sock", request("Echo", "deep"), patient()), "deep");
}

TEST(Client, TheDeadlineEndsACall) {
  Served served;
  EXPECT_EQ(code_of([&] { call_at(served.dir(), "sock", request("Park"), hasty()); }),
            Code::kDeadlineExceeded);
  EXPECT_TRUE(becomes_true([&] { return served.under_way() == 0; }));
}

TEST(Client, AnInterruptEndsACallAndFreesTheServer) {
  Served served;
  struct Stop {};
  Wait wait{.deadline = kForever, .interrupted = [&] {
              if (served.parked > 0) throw Stop{};
            }};
  EXPECT_THROW(call_at(served.dir(), "sock", request("Park"), wait), Stop);
  EXPECT_TRUE(becomes_true([&] { return served.cancelled == 1; }));
}

TEST(Client, ACallMayBePolledAndItsSocketUsedAgain) {
  Served served;
  Call first(connect_at(served.dir(), "sock", patient()), request("Echo", "one"), patient());
  wait_ready(first.fd(), POLLIN, patient(), "the answer");
  while (!first.advance()) wait_ready(first.fd(), POLLIN, patient(), "the answer");
  EXPECT_TRUE(first.advance());
  EXPECT_EQ(first.result(), "one");
  Call second(first.take_socket(), request("Echo", "two"), patient(), 3);
  EXPECT_EQ(second.finish(patient()), "two");
}

// A listener whose peer is the test itself: it may answer what no server of ours would.
struct Puppet {
  Puppet()
      : path(Served::temp_dir()),
        dir(open_dir(path)),
        listener(Served::listen_on(path + "/sock")) {}
  ~Puppet() { std::filesystem::remove_all(path); }
  UniqueFd accept() const {
    return UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  std::string path;
  UniqueFd dir, listener;
};

// What a call says when its request is answered with these bytes and then, or not, the end.
Code code_when_answered(std::string_view bytes, std::string* payload = nullptr) {
  Puppet puppet;
  Call call(connect_at(puppet.dir.get(), "sock", patient()), request("Echo"), patient());
  UniqueFd peer = puppet.accept();
  write_all(peer.get(), bytes);
  ::shutdown(peer.get(), SHUT_WR);
  return code_of([&] {
    std::string got = call.finish(patient());
    if (payload != nullptr) *payload = got;
  });
}

std::string answer(uint32_t stream, const std::string& payload) {
  return encode_frame(FrameType::kResponse, stream,
                      encode(Response{.error = {}, .payload = payload}));
}

TEST(Client, DropsWhatIsNotItsAnswer) {
  std::string payload;
  std::string frames = answer(7, "of a call given up") + encode_frame(FrameType::kData, 1, "data") +
                       encode_frame(FrameType::kRequest, 1, "request") + answer(1, "mine");
  EXPECT_EQ(code_when_answered(frames, &payload), Code::kOk);
  EXPECT_EQ(payload, "mine");
}

TEST(Client, APeerThatClosesIsUnavailable) {
  std::string whole = answer(1, "payload");
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(code_when_answered(whole.substr(0, size)), Code::kUnavailable) << size;
}

TEST(Client, AnAnswerThatIsNoneIsAnError) {
  EXPECT_EQ(code_when_answered(encode_frame(FrameType::kResponse, 1, "\xff\xff")), Code::kDataLoss);
  auto header = encode_header({.length = kMaxFrame + 1, .stream = 1, .type = 2});
  EXPECT_EQ(code_when_answered({header.data(), header.size()}), Code::kResourceExhausted);
}

TEST(Client, ARequestBeyondTheLimitIsNotSent) {
  Served served;
  EXPECT_EQ(code_of([&] {
              call_at(served.dir(), "sock", request("Echo", std::string(kMaxFrame, 'x')),
                      patient());
            }),
            Code::kResourceExhausted);
}

TEST(Client, AFullBacklogIsWaitedForUntilTheDeadline) {
  Puppet puppet;
  ASSERT_EQ(::listen(puppet.listener.get(), 0), 0);
  std::vector<UniqueFd> waiting;
  Code code = code_of([&] {
    for (;;) waiting.push_back(connect_at(puppet.dir.get(), "sock", hasty()));
  });
  EXPECT_EQ(code, Code::kDeadlineExceeded);
  EXPECT_FALSE(waiting.empty());
}

TEST(Client, APeerThatDoesNotReadIsWaitedForUntilTheDeadline) {
  Puppet puppet;
  UniqueFd socket = connect_at(puppet.dir.get(), "sock", patient());
  Request large = request("Echo", std::string(kMaxFrame - 100, 'x'));
  EXPECT_EQ(code_of([&] { Call(std::move(socket), large, hasty()); }), Code::kDeadlineExceeded);
}

}  // namespace
}  // namespace ctrd::ttrpc
