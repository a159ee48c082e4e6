// SPDX-License-Identifier: Apache-2.0
// Many threads of one process, through one Store and through several of one directory.
#include <gmock/gmock.h>

#include <future>
#include <latch>
#include <thread>

#include "base/error.h"
#include "store/support.h"

namespace ctrd::store {
namespace {

using std::chrono::milliseconds;

void add_one(Store& store) {
  store.write({}, [](const View& view, Batch& batch) {
    int value = std::stoi(view.find("counter").value_or("0"));
    batch.put("counter", std::to_string(value + 1));
  });
}

TEST(Threads, EveryIncrementCounts) {
  TempDir temp;
  auto shared = open_store(temp.path());
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      auto own = open_store(i % 2 ? temp.path() : temp.path("."));
      for (int round = 0; round < 50; ++round) add_one(i % 4 ? *own : *shared);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(get(*shared, "counter"), "400");
}

TEST(Threads, WaitForEachOther) {
  TempDir temp;
  auto store = open_store(temp.path());
  auto impatient = open_store(temp.path(), {milliseconds(20)});
  std::latch held(1), let_go(1);
  std::thread holder([&] {
    store->read({}, [&](const View&) {
      held.count_down();
      let_go.wait();
    });
  });
  held.wait();
  Error error = error_of([&] { add_one(*impatient); });
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_EQ(error.find("holder_pid"), std::to_string(::getpid()));
  auto patient = std::async(std::launch::async, [&] { add_one(*store); });
  let_go.count_down();
  patient.get();
  holder.join();
  EXPECT_EQ(get(*store, "counter"), "1");
}

TEST(Threads, AreInterruptedInTheQueue) {
  TempDir temp;
  auto store = open_store(temp.path());
  std::latch held(1), let_go(1);
  std::thread holder([&] {
    store->read({}, [&](const View&) {
      held.count_down();
      let_go.wait();
    });
  });
  held.wait();
  Wait wait;
  wait.interrupted = [] { throw std::runtime_error("interrupted"); };
  EXPECT_THROW(store->read(wait, [](const View&) {}), std::runtime_error);
  let_go.count_down();
  holder.join();
  add_one(*store);
}

}  // namespace
}  // namespace ctrd::store
