// SPDX-License-Identifier: Apache-2.0
// Reading a task's log: while it runs, after its end, by many, from anywhere.
#include <signal.h>

#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

class LogsTest : public EngineTest {
 protected:
  std::vector<LogLine> read(const std::string& id, const LogOptions& options) {
    std::vector<LogLine> lines;
    auto logs = engine().logs(kNs, id, options, soon());
    while (auto line = logs->next(soon())) lines.push_back(*line);
    return lines;
  }
  std::string joined(const std::string& id, const LogOptions& options) {
    std::string text;
    for (const auto& line : read(id, options)) text += line.data + ",";
    return text;
  }
};

TEST_F(LogsTest, FollowingEndsWithTheTask) {
  std::string id =
      start({"/bin/sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.05; done; printf rest"});
  LogOptions options;
  options.follow = true;
  auto lines = read(id, options);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[2].data, "3");
  EXPECT_EQ(lines[3].data, "rest");
  EXPECT_TRUE(lines[3].partial);
  EXPECT_EQ(engine().wait_task(task(id), soon()).status, 0);
  EXPECT_EQ(joined(id, options), "1,2,3,rest,");
  EXPECT_EQ(joined(id, {}), "1,2,3,rest,");
}

TEST_F(LogsTest, WhatIsThereNowWithoutFollowing) {
  std::string id = start({"/bin/sh", "-c", "echo one; sleep 1000"});
  LogOptions follow;
  follow.follow = true;
  auto logs = engine().logs(kNs, id, follow, soon());
  EXPECT_EQ(logs->next(soon())->data, "one");
  EXPECT_EQ(joined(id, {}), "one,");
  EXPECT_EQ(code_of([&] { logs->next(within_ms(30)); }), Code::kDeadlineExceeded);
  struct Interrupted {};
  Wait wait = soon();
  wait.interrupted = [] { throw Interrupted(); };
  EXPECT_THROW(logs->next(wait), Interrupted);
}

TEST_F(LogsTest, StreamsTailAndSince) {
  std::string id = start({"/bin/sh", "-c", "for i in 1 2 3 4; do echo o$i; echo e$i >&2; done"});
  engine().wait_task(task(id), soon());
  LogOptions options;
  options.err = false;
  EXPECT_EQ(joined(id, options), "o1,o2,o3,o4,");
  options.tail = 2;
  EXPECT_EQ(joined(id, options), "o3,o4,");
  options.tail = 0;
  EXPECT_EQ(joined(id, options), "");
  auto all = read(id, {});
  ASSERT_EQ(all.size(), 8u);
  LogOptions since;
  since.since_seq = all[5].seq;
  auto rest = read(id, since);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[0].seq, all[6].seq);
  EXPECT_EQ(rest[0].data, all[6].data);
  LogOptions later;
  later.since_ns = all[7].time_ns + 1;
  EXPECT_TRUE(read(id, later).empty());
  LogOptions earlier;
  earlier.since_ns = all[0].time_ns;
  EXPECT_EQ(read(id, earlier).size(), 8u);
}

TEST_F(LogsTest, FollowersEndWithAKilledShim) {
  std::string id = start({"/bin/sh", "-c", "echo up; sleep 1000"});
  LogOptions follow;
  follow.follow = true;
  auto one = engine().logs(kNs, id, follow, soon());
  auto two = engine().logs(kNs, id, follow, soon());
  EXPECT_EQ(one->next(soon())->data, "up");
  kill_shim(id);
  EXPECT_FALSE(one->next(soon()));
  EXPECT_EQ(two->next(soon())->data, "up");
  EXPECT_FALSE(two->next(soon()));
}

TEST_F(LogsTest, AFollowerOutlivesTheDeletedTask) {
  std::string id = start({"/bin/sh", "-c", "echo a; echo b; sleep 1000"});
  LogOptions follow;
  follow.follow = true;
  auto logs = engine().logs(kNs, id, follow, soon());
  EXPECT_EQ(logs->next(soon())->data, "a");
  EXPECT_EQ(logs->next(soon())->data, "b");
  engine().remove(kNs, id, true, false, soon());
  EXPECT_FALSE(logs->next(soon()));
}

TEST_F(LogsTest, OldOutputIsForgottenBeyondTheLimit) {
  Config small = config();
  small.log_max = 1 << 20;
  auto engine = Engine::open(small);
  std::string id =
      engine->create(kNs, shell("head -c 5000000 /dev/zero | cat; echo; echo last"), soon()).id;
  engine->create_task(kNs, id, {}, false, soon());
  engine->start_task(task(id), soon());
  engine->wait_task(task(id), soon());
  std::size_t size = 0;
  std::string last;
  auto logs = engine->logs(kNs, id, {}, soon());
  while (auto line = logs->next(soon())) size += line->data.size(), last = line->data;
  EXPECT_EQ(last, "last");
  EXPECT_LE(size, 2u << 20);
  LogOptions gone;
  gone.since_seq = 0;
  EXPECT_EQ(code_of([&] { engine->logs(kNs, id, gone, soon())->next(soon()); }), Code::kNotFound);
  engine->close(soon());
}

}  // namespace
}  // namespace ctrd::engine
