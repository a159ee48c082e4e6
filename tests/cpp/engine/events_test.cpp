// SPDX-License-Identifier: Apache-2.0
// The journal through the engine: what is written twice is seen once, what is damaged is left out.
#include "engine/events.h"

#include <fcntl.h>

#include "base/files.h"
#include "base/segment_name.h"
#include "engine/fixture.h"
#include "journal/format.h"

namespace ctrd::engine {
namespace {

class EventsTest : public EngineTest {
 protected:
  std::vector<EventInfo> all(const EventOptions& options) {
    auto stream = engine().events(options, soon());
    std::vector<EventInfo> events;
    while (auto event = stream->next(soon())) events.push_back(std::move(*event));
    return events;
  }
  std::vector<EventInfo> since(uint64_t seq) {
    EventOptions options;
    options.since_seq = seq;
    options.follow = false;
    return all(options);
  }
  void add(const std::string& record) {
    engine().list(kNs, {}, soon());
    UniqueFd journal = open_dir(root_ + "/journal");
    UniqueFd segment = open_at(journal.get(), segment_name(0), O_WRONLY | O_APPEND | O_CREAT);
    write_all(segment.get(), record);
  }
  static std::string oom(const std::string& id) {
    api::Event event = api::make_event(kNs, api::TaskOOM{"x"});
    event.id = id;
    return journal::encode_record(api::encode(event));
  }
};

TEST_F(EventsTest, WhatIsWrittenTwiceIsSeenOnce) {
  add(oom("one") + oom("two") + oom("one") + oom("three") + oom("two"));
  auto seen = since(0);
  ASSERT_EQ(seen.size(), 3u);
  for (const auto& event : seen) {
    auto rest = since(event.seq);
    EXPECT_EQ(rest.size(), 2u - static_cast<std::size_t>(&event - seen.data()));
  }
}

TEST_F(EventsTest, AFollowerThatCameInBetweenDoesNotSeeItAgain) {
  add(oom("one"));
  auto stream = engine().events({}, soon());
  add(oom("one") + oom("two"));
  EXPECT_EQ(stream->next(soon())->topic, "/tasks/oom");
  EXPECT_EQ(code_of([&] { stream->next(within_ms(1)); }), Code::kDeadlineExceeded);
}

TEST_F(EventsTest, WhatIsNoEventIsLeftOut) {
  add("garbage\n" + journal::encode_record("\xff no event") + oom("one") +
      journal::encode_record(api::encode(api::Event{.time_ns = 1,
                                                    .ns = kNs,
                                                    .topic = "/new/thing",
                                                    .event = {"containerd.events.New", "\x08\x01"},
                                                    .id = "new"})));
  auto seen = since(0);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[1].topic, "/new/thing");
  EXPECT_TRUE(seen[1].fields.empty());
}

TEST_F(EventsTest, OnlyWhatIsMissingIsToldOfAKilledShim) {
  engine().list(kNs, {}, soon());
  Events events(open_dir(root_ + "/journal"));
  api::StatusFile status;
  status.instance = "0123456789abcdef";
  status.created_ns = status.started_ns = 5;
  api::ExitFile exit;
  exit.status = 137;
  exit.started_ns = 6;
  exit.exited_ns = 7;
  TaskStory story = story_of(kNs, "x", "/bundle", status, exit);
  ASSERT_EQ(story.until_exit.size(), 3u);
  EXPECT_TRUE(events.append_new({story.until_exit[0]}));
  EXPECT_TRUE(events.append_new(story.until_exit));
  EXPECT_TRUE(events.append_new({story.deleted}));
  EXPECT_TRUE(events.append_new({story.deleted}));
  std::vector<std::string> topics;
  for (const auto& event : since(0)) topics.push_back(event.topic);
  EXPECT_EQ(topics, (std::vector<std::string>{"/tasks/create", "/tasks/start", "/tasks/exit",
                                              "/tasks/delete"}));
  exit.started_ns = api::kNotYet;
  EXPECT_EQ(story_of(kNs, "x", "/bundle", status, exit).until_exit.size(), 2u);
}

TEST_F(EventsTest, AStreamIsRefusedOnceItOrItsEngineIsClosed) {
  auto other = open();
  auto one = other->events({}, soon()), two = other->events({}, soon());
  one->close();
  EXPECT_EQ(code_of([&] { one->next(soon()); }), Code::kFailedPrecondition);
  other->close(soon());
  EXPECT_EQ(code_of([&] { two->next(soon()); }), Code::kFailedPrecondition);
  EXPECT_EQ(code_of([&] { two->fd(); }), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace ctrd::engine
