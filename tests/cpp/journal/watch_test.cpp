// SPDX-License-Identifier: Apache-2.0
#include "journal/watch.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>

#include <thread>

#include "journal/scratch.h"

namespace ctrd::journal {
namespace {

bool readable(int fd, int ms = 0) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, ms) == 1;
}

int inotify_count() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    count += std::filesystem::read_symlink(entry.path(), ignored) == "anon_inode:inotify";
  }
  return count;
}

TEST(JournalWatch, TellsOfEachAppend) {
  Scratch scratch;
  Writer writer(scratch.dir(), {.segment_bytes = 200, .total_bytes = 1 << 20});
  Watch watch(scratch.dir().get());
  EXPECT_TRUE(readable(watch.fd()));
  watch.clear();
  EXPECT_FALSE(readable(watch.fd()));
  watch.touch();
  EXPECT_TRUE(readable(watch.fd()));
  watch.clear();
  for (int i = 0; i < 50; ++i) {
    append(writer, std::to_string(i));
    EXPECT_TRUE(readable(watch.fd(), 5000));
    watch.clear();
    EXPECT_FALSE(readable(watch.fd()));
  }
}

// One that clears takes nothing from the others, though they share the instance.
TEST(JournalWatch, AllAreTold) {
  Scratch scratch, elsewhere;
  Writer writer(scratch.dir());
  int before = inotify_count();
  {
    std::vector<std::unique_ptr<Watch>> watches;
    for (int i = 0; i < 5; ++i)
      watches.push_back(std::make_unique<Watch>((i == 4 ? elsewhere : scratch).dir().get()));
    EXPECT_EQ(inotify_count(), before + 1);
    for (auto& watch : watches) watch->clear();
    for (auto& watch : watches) EXPECT_FALSE(readable(watch->fd()));
    append(writer, "x");
    for (int i = 0; i < 4; ++i) {
      EXPECT_TRUE(readable(watches[static_cast<std::size_t>(i)]->fd(), 5000));
      watches[static_cast<std::size_t>(i)]->clear();
    }
    watches.erase(watches.begin());
    append(writer, "y");
    EXPECT_TRUE(readable(watches[0]->fd(), 5000));
  }
  EXPECT_EQ(inotify_count(), before);
}

TEST(JournalWatch, WaitsNoLongerThanItsDeadlineAndIsInterrupted) {
  Scratch scratch;
  Watch watch(scratch.dir().get());
  TimePoint began = Clock::now();
  watch.clear();
  watch.wait(Wait{after(std::chrono::milliseconds(5)), {}});
  watch.wait(Wait{});
  EXPECT_LT(Clock::now() - began, std::chrono::seconds(5));
  EXPECT_THROW(watch.wait(Wait{kForever, [] { throw Error(Code::kCancelled, "enough"); }}), Error);
}

TEST(JournalWatch, IsWokenByAnotherThreadsAppend) {
  Scratch scratch;
  Watch watch(scratch.dir().get());
  Reader reader(scratch.dir(), 0);
  std::thread other([&] {
    Writer writer(scratch.dir());
    append(writer, "x");
  });
  std::optional<Record> record;
  for (TimePoint deadline = after(std::chrono::seconds(20)); !record && Clock::now() < deadline;) {
    watch.clear();
    record = reader.next();
    if (!record) watch.wait(Wait{deadline, {}});
  }
  other.join();
  ASSERT_TRUE(record);
}

TEST(JournalWatch, WithoutDescriptorsItStillWaits) {
  Scratch scratch;
  UniqueFd dir = scratch.dir();
  Error(Code::kUnknown, "").with("", "");  // UBSan needs a pipe to look at the first of a class
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  rlimit none{static_cast<rlim_t>(dir.get()) + 1, old.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  Watch watch(dir.get());
  TimePoint began = Clock::now();
  watch.clear();
  watch.wait(Wait{});
  auto took = Clock::now() - began;
  Code code = Code::kOk;
  try {
    watch.fd();
  } catch (const Error& error) {
    code = error.code();
  }
  ::setrlimit(RLIMIT_NOFILE, &old);
  EXPECT_GE(took, std::chrono::milliseconds(90));
  EXPECT_EQ(code, Code::kResourceExhausted);
}

// The child's copy of a watch does no harm to the parent's, and a new one works there.
TEST(JournalWatch, AfterAFork) {
  Scratch scratch;
  Watch watch(scratch.dir().get());
  auto inherited = std::make_unique<Watch>(scratch.dir().get());
  pid_t child = in_child([&] {
    inherited.reset();
    Watch fresh(scratch.dir().get());
    Writer writer(scratch.dir());
    append(writer, "from the child");
    ::_exit(readable(fresh.fd(), 5000) ? 0 : 3);
  });
  EXPECT_EQ(exit_of(child), 0);
  EXPECT_TRUE(readable(watch.fd(), 5000));
  EXPECT_TRUE(readable(inherited->fd(), 5000));
}

}  // namespace
}  // namespace ctrd::journal
