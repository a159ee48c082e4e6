// SPDX-License-Identifier: Apache-2.0
// Many at once: threads in one process, on one engine.
#include <atomic>
#include <thread>

#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

class ParallelTest : public EngineTest {
 protected:
  template <typename F>
  void in_threads(int count, const F& f) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back([&f, i] { f(i); });
    for (auto& thread : threads) thread.join();
  }
};

TEST_F(ParallelTest, FortyRunsInEightThreads) {
  Engine& one = engine();
  std::atomic<int> good{0};
  in_threads(8, [&](int thread) {
    for (int i = 0; i < 5; ++i) {
      std::string word = std::to_string(thread) + "." + std::to_string(i);
      RunResult result = one.run(kNs, shell("echo " + word), {}, soon(), nullptr);
      if (result.out == word + "\n" && result.exit.status == 0) ++good;
    }
  });
  EXPECT_EQ(good, 40);
}

TEST_F(ParallelTest, OneOfManyCreatesWins) {
  Engine& one = engine();
  one.list(kNs, {}, soon());
  std::atomic<int> made{0}, taken{0}, tasks{0}, refused{0};
  in_threads(8, [&](int) {
    CreateOptions options = shell("sleep 1000");
    options.id = "c";
    Code code = code_of([&] { one.create(kNs, options, soon()); });
    ++(code == Code::kOk ? made : taken);
    code = code_of([&] { one.create_task(kNs, "c", {}, false, soon()); });
    ++(code == Code::kOk ? tasks : refused);
  });
  EXPECT_EQ(made, 1);
  EXPECT_EQ(taken, 7);
  EXPECT_EQ(tasks, 1);
  EXPECT_EQ(refused, 7);
}

TEST_F(ParallelTest, OneOfManyDeletesWins) {
  Engine& one = engine();
  for (int round = 0; round < 3; ++round) {
    std::string id = start({"/bin/sleep", "1000"});
    std::atomic<int> removed{0}, missing{0};
    in_threads(6, [&](int) { ++(one.remove(kNs, id, true, true, soon()) ? removed : missing); });
    EXPECT_EQ(removed, 1);
    EXPECT_EQ(missing, 5);
  }
}

}  // namespace
}  // namespace ctrd::engine
