// SPDX-License-Identifier: Apache-2.0
// Events in the same batch as their change, and what becomes of them afterwards.
#include "metadata/outbox.h"

#include <algorithm>

#include "api/event.h"
#include "metadata/changes.h"
#include "metadata/fixture.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A journal in memory, and one that may refuse.
struct FakeJournal {
  Outlet outlet() {
    return {.position = [this] { return uint64_t{events.size()}; },
            .publish = [this](const auto& pending) { return publish(pending); }};
  }
  std::vector<uint64_t> publish(const std::vector<Pending>& pending) {
    std::vector<uint64_t> done;
    for (const Pending& one : pending) {
      if (broken) continue;
      bool there = std::ranges::find(events, one.event) != events.end();
      EXPECT_TRUE(!there || one.is_left);
      if (!there) events.push_back(one.event);
      done.push_back(one.number);
    }
    return done;
  }
  std::vector<std::string> topics() const {
    std::vector<std::string> all;
    for (const auto& event : events) all.push_back(api::decode<api::Event>(event).topic);
    return all;
  }
  std::vector<std::string> events;
  bool broken = false;
};

struct OutboxTest : ContainersTest {
  OutboxTest() { containers.set_outlet(journal.outlet()); }
  std::vector<Pending> outbox() {
    std::vector<Pending> all;
    store->read({}, [&](const store::View& view) { all = Backlog().find(view, {}); });
    return all;
  }
  FakeJournal journal;
};

TEST_F(OutboxTest, EachChangeTellsOfItself) {
  create("web");
  containers.update("default", "web", {.labels = {{"a", "b"}}}, {});
  containers.remove("default", "web", {});
  EXPECT_THAT(journal.topics(),
              ElementsAre("/snapshot/prepare", "/containers/create", "/containers/update",
                          "/containers/delete", "/snapshot/remove"));
  auto prepare = api::decode<api::Event>(journal.events[0]);
  EXPECT_EQ(prepare.ns, "default");
  auto message = api::decode<api::SnapshotPrepare>(prepare.event.value);
  EXPECT_EQ(message.key, "web");
  auto update = api::decode<api::Event>(journal.events[2]);
  EXPECT_THAT(api::decode<api::ContainerUpdate>(update.event.value).labels,
              ElementsAre(std::pair("a", "b")));
}

TEST_F(OutboxTest, WhatChangesNothingTellsNothing) {
  containers.remove("default", "nothing", {});
  create("web");
  journal.events.clear();
  EXPECT_THROW(create("web"), Error);
  EXPECT_THROW(containers.update("default", "nothing", {}, {}), Error);
  containers.remove("default", "web", {}, [](const Container&) { return false; });
  EXPECT_THAT(journal.events, IsEmpty());
}

TEST_F(OutboxTest, ReplacingTellsOfBoth) {
  create("web");
  journal.events.clear();
  containers.create("default", record("web"), "{}", {}, [](const Container&) { return true; });
  EXPECT_THAT(journal.topics(), ElementsAre("/containers/delete", "/snapshot/remove",
                                            "/snapshot/prepare", "/containers/create"));
}

TEST_F(OutboxTest, KeysGoWithTheNextBatch) {
  create("one");
  EXPECT_EQ(outbox().size(), 2u);
  create("two");
  EXPECT_EQ(outbox().size(), 2u);
  EXPECT_EQ(journal.events.size(), 4u);
}

TEST_F(OutboxTest, AJournalThatFailsFailsNoVerbAndLosesNothing) {
  journal.broken = true;
  create("one");
  create("two");
  EXPECT_EQ(outbox().size(), 4u);
  journal.broken = false;
  create("three");
  EXPECT_EQ(journal.events.size(), 6u);
  auto creates = journal.topics();
  EXPECT_EQ(
      api::decode<api::ContainerCreate>(api::decode<api::Event>(journal.events[1]).event.value).id,
      "one");
  create("four");
  EXPECT_EQ(outbox().size(), 2u);
  EXPECT_EQ(journal.events.size(), 8u);
}

// As a process that was killed between batch and append, or before it erased the key.
TEST_F(OutboxTest, WhatOthersHaveLeftIsPublishedByTheNextWriter) {
  {
    Containers killed(store);
    killed.create("default", record("killed"), "{}", {});
  }
  create("web");
  EXPECT_THAT(journal.topics(), ElementsAre("/snapshot/prepare", "/containers/create",
                                            "/snapshot/prepare", "/containers/create"));
  containers.update("default", "web", {}, {});
  EXPECT_EQ(outbox().size(), 1u);
  EXPECT_EQ(journal.events.size(), 5u);
}

TEST_F(OutboxTest, RecoverPublishesToo) {
  {
    Containers killed(store);
    killed.create("default", record("killed"), "{}", {});
  }
  containers.publish_left({});
  containers.publish_left({});
  EXPECT_EQ(journal.events.size(), 2u);
  create("web");
  EXPECT_EQ(outbox().size(), 2u);
}

TEST_F(OutboxTest, PositionsAreOfBeforeTheBatch) {
  create("one");
  journal.broken = true;
  create("two");
  auto left = outbox();
  ASSERT_EQ(left.size(), 2u);
  EXPECT_EQ(left[0].from, 2u);
  EXPECT_TRUE(left[0].is_left);
  EXPECT_LT(left[0].number, left[1].number);
}

TEST_F(OutboxTest, AFailedBatchTellsNothingAndForgetsNothing) {
  create("one");
  EXPECT_THROW(containers.update("default", "one", {.respec = [](std::string) -> std::string {
                                   throw Error(Code::kInvalidArgument, "no");
                                 }},
                                 {}),
               Error);
  EXPECT_EQ(journal.events.size(), 2u);
  create("two");
  EXPECT_EQ(outbox().size(), 2u);
}

TEST_F(OutboxTest, LabelsThatNoEventCanHoldAreLeftOut) {
  create("web");
  Containers::Change change;
  for (int i = 0; i < 100; ++i) change.labels["k" + std::to_string(i)] = std::string(4000, 'x');
  containers.update("default", "web", change, {});
  auto event = api::decode<api::Event>(journal.events.back());
  EXPECT_TRUE(api::decode<api::ContainerUpdate>(event.event.value).labels.empty());
}

TEST(Pending, Codec) {
  Pending pending{.number = 0, .event = std::string("\0\xff", 2), .from = ~uint64_t{0}};
  Pending read = decode_pending(encode(pending));
  EXPECT_EQ(read.event, pending.event);
  EXPECT_EQ(read.from, pending.from);
  EXPECT_THROW(decode_pending("\xff"), Error);
}

// Where scans begin, and which opening of the database it is said to be.
struct WatchedView : store::View {
  WatchedView(const store::View& whole, uint64_t opening) : view(whole), number(opening) {}
  std::optional<std::string> find(std::string_view key) const override { return view.find(key); }
  uint64_t opening() const override { return number; }
  void scan(std::string_view first, std::string_view last,
            const std::function<bool(std::string_view, std::string_view)>& f) const override {
    begins.emplace_back(first);
    view.scan(first, last, f);
  }
  const store::View& view;
  uint64_t number;
  mutable std::vector<std::string> begins;
};

TEST_F(OutboxTest, WhatIsErasedIsNotScannedAgain) {
  journal.broken = true;
  create("one");
  create("two");
  std::vector<Pending> all = outbox();
  ASSERT_EQ(all.size(), 4u);
  Backlog backlog;
  store->read({}, [&](const store::View& view) {
    WatchedView first(view, 1000), second(view, 1001);
    std::vector<uint64_t> done = {all[0].number, all[1].number};
    EXPECT_EQ(backlog.find(first, {}).size(), 4u);
    EXPECT_EQ(backlog.find(first, done).size(), 2u);
    EXPECT_EQ(backlog.find(first, done).size(), 2u);
    EXPECT_EQ(backlog.find(second, done).size(), 2u);
    EXPECT_EQ(backlog.find(second, done).size(), 2u);
    std::string from_all = key_outbox(0), from_first = key_outbox(all[0].number),
                from_third = key_outbox(all[2].number);
    EXPECT_THAT(first.begins, ElementsAre(from_all, from_first, from_third));
    EXPECT_THAT(second.begins, ElementsAre(from_all, from_third));
  });
}

}  // namespace
}  // namespace ctrd::metadata
