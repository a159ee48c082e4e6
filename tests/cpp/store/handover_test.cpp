// SPDX-License-Identifier: Apache-2.0
// The database stays open between operations, and is closed when another process wants it, when it
// has been idle, and when the last Store goes.
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "store/holder.h"
#include "store/support.h"

namespace ctrd::store {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::IsEmpty;

const StoreConfig kKeeps{.idle_close = hours(1)};

struct HandoverTest : testing::Test {
  Holder holder() { return decode_holder(read_file_at(temp.fd(), "db")); }
  bool is_open() { return holder().marker == kDirty; }
  // Descriptors of this process below the directory.
  std::vector<std::string> descriptors() {
    auto all = descriptors_below(temp.path());
    std::erase(all, std::to_string(temp.fd()));
    return all;
  }

  TempDir temp;
};

// The values of a field in /proc/self/task/*/status of the timers' threads.
std::vector<std::string> of_timers(const std::string& field) {
  std::vector<std::string> found;
  UniqueFd tasks = open_dir("/proc/self/task");
  for (const auto& task : list_dir(tasks.get())) {
    auto status = find_file_at(tasks.get(), task + "/status");
    if (!status || status->find("Name:\tctrd-store\n") == status->npos) continue;
    std::size_t begin = status->find(field) + field.size();
    found.push_back(status->substr(begin, status->find('\n', begin) - begin));
  }
  return found;
}

// get <path> <key>: prints its value.
int get_one(const std::vector<std::string>& args) {
  std::puts(get(*open_store(args.at(0)), args.at(1)).value_or("none").c_str());
  return 0;
}
const HelperName kGet("get", get_one);

TEST_F(HandoverTest, ItStaysOpen) {
  auto store = open_store(temp.path(), kKeeps);
  put(*store, "a", "1");
  int64_t since = holder().since_ns;
  EXPECT_TRUE(is_open());
  EXPECT_EQ(get(*open_store(temp.path("."), kKeeps), "a"), "1");
  put(*store, "a", "2");
  EXPECT_EQ(holder().since_ns, since);
  EXPECT_EQ(of_timers("Name:\t").size(), 1u);
}

TEST_F(HandoverTest, IdleItIsClosed) {
  auto store = open_store(temp.path(), {.idle_close = milliseconds(10)});
  for (int i = 0; i < 3; ++i) {  // and opened again, with a thread of its own again
    put(*store, "a", std::to_string(i));
    EXPECT_TRUE(comes_true([&] { return !is_open() && of_timers("Name:\t").empty(); }));
    EXPECT_EQ(descriptors().size(), 1u) << "only the directory's";
  }
  EXPECT_EQ(get(*store, "a"), "2");
}

TEST_F(HandoverTest, OpenedByEachOperationItNeedsNoThread) {
  auto store = open_store(temp.path(), kOpenedEach);
  put(*store, "a", "1");
  EXPECT_FALSE(is_open());
  EXPECT_THAT(of_timers("Name:\t"), IsEmpty());
}

TEST_F(HandoverTest, AnotherProcessGetsItFromAnIdleHolder) {
  auto store = open_store(temp.path(), kKeeps);
  put(*store, "a", "1");
  Helper other({"get", temp.path(), "a"});
  EXPECT_EQ(other.line(), "1");
  EXPECT_EQ(other.wait(), 0);
  EXPECT_FALSE(is_open());
  put(*store, "a", "2");
}

TEST_F(HandoverTest, AnotherProcessGetsItFromABusyHolder) {
  auto store = open_store(temp.path(), kKeeps);
  put(*store, "a", "1");
  std::atomic<bool> done{false};
  std::thread busy([&] {
    while (!done) get(*store, "a");
  });
  Helper other({"get", temp.path(), "a"});
  EXPECT_EQ(other.line(), "1");
  EXPECT_EQ(other.wait(), 0);
  done = true;
  busy.join();
}

// Whoever waits in the gate has it after this operation, not after one of those behind it.
TEST_F(HandoverTest, AnOperationThatIsWaitedForEndsWithAClose) {
  auto store = open_store(temp.path(), kKeeps);
  put(*store, "a", "1");
  std::optional<Helper> other;
  store->read({}, [&](const View&) {
    other.emplace(std::vector<std::string>{"get", temp.path(), "a"});
    EXPECT_TRUE(comes_true([&] {
      UniqueFd again = open_at(temp.fd(), "gate", O_RDWR);
      return !try_lock(again.get());
    }));
  });
  EXPECT_TRUE(holder().pid != ::getpid() || !is_open());
  EXPECT_EQ(other->line(), "1");
  EXPECT_EQ(other->wait(), 0);
}

TEST_F(HandoverTest, TheLastStoreClosesIt) {
  auto store = open_store(temp.path(), kKeeps);
  auto again = open_store(temp.path(), kKeeps);
  put(*store, "a", "1");
  store.reset();
  EXPECT_TRUE(is_open());
  again.reset();
  EXPECT_FALSE(is_open());
  EXPECT_THAT(descriptors(), IsEmpty());
  EXPECT_THAT(of_timers("Name:\t"), IsEmpty());
}

// leave <path>: ends with the database open, in the middle of another thread's operation or not.
int leave_open(const std::vector<std::string>& args) {
  static auto* never_destroyed = new std::shared_ptr<Store>(open_store(args.at(0), kKeeps));
  put(**never_destroyed, "a", "1");
  if (args.size() == 1) return 0;
  std::atomic<bool> inside{false};
  std::thread([&inside] {
    (*never_destroyed)->read({}, [&](const View&) {
      inside = true;
      for (;;) ::pause();
    });
  }).detach();
  while (!inside) std::this_thread::yield();
  std::exit(0);
}
const HelperName kLeave("leave", leave_open);

TEST_F(HandoverTest, TheEndOfTheProcessClosesIt) {
  Helper process({"leave", temp.path()});
  EXPECT_EQ(process.wait(), 0);
  EXPECT_EQ(holder().pid, process.child().pid);
  EXPECT_FALSE(is_open());
}

TEST_F(HandoverTest, TheEndOfTheProcessWaitsForNobody) {
  Helper process({"leave", temp.path(), "busy"});
  EXPECT_EQ(process.wait(), 0);
  EXPECT_TRUE(is_open());
  EXPECT_EQ(get(*open_store(temp.path()), "a"), "1");
}

TEST_F(HandoverTest, TheThreadTakesNoSignal) {
  auto store = open_store(temp.path(), kKeeps);
  put(*store, "a", "1");
  auto masks = of_timers("SigBlk:\t");
  ASSERT_EQ(masks.size(), 1u);
  // All but SIGKILL, SIGSTOP, and glibc's own 32 and 33.
  EXPECT_EQ(std::stoull(masks[0], nullptr, 16) | 1ull << 8 | 1ull << 18 | 3ull << 31, ~0ull);
}

TEST_F(HandoverTest, NoDescriptorSurvivesAnExec) {
  auto store = open_store(temp.path(), kKeeps);
  for (int i = 0; i < 400; ++i) put(*store, std::to_string(i), std::string(1000, 'x'));
  auto all = descriptors();
  EXPECT_GE(all.size(), 5u);  // directory, gate, db, log, manifest
  for (const auto& fd : all) EXPECT_EQ(::fcntl(std::stoi(fd), F_GETFD), FD_CLOEXEC) << fd;
}

// What an opening costs depends on the log it replays and on the files it makes (trap 4).
TEST_F(HandoverTest, AnOpeningFindsAShortLogAndNoLoggersFile) {
  auto store = open_store(temp.path(), kKeeps);
  for (int i = 0; i < 3000; ++i) put(*store, std::to_string(i % 700), std::string(500, 'x'));
  store.reset();
  for (const auto& name : list_dir(temp.fd())) {
    EXPECT_FALSE(name.starts_with("LOG") || name == "LOCK") << name;
    if (!name.ends_with(".log")) continue;
    EXPECT_LE(read_file_at(temp.fd(), name).size(), 200'000u);
  }
  EXPECT_LE(list_dir(temp.fd()).size(), 40u);
}

}  // namespace
}  // namespace ctrd::store
