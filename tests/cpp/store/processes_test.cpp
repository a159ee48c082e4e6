// SPDX-License-Identifier: Apache-2.0
// Many processes on one store: every increment counts, and nobody waits long (the waits are
// printed, not asserted).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "store/support.h"

namespace ctrd::store {
namespace {

// count <path> <n>: adds n to the counter, one by one; prints each operation's milliseconds.
int count(const std::vector<std::string>& args) {
  auto store = open_store(args.at(0));
  for (int left = std::stoi(args.at(1)); left > 0; --left) {
    TimePoint begin = Clock::now();
    store->write({}, [&](const View& view, Batch& batch) {
      int value = std::stoi(view.find("counter").value_or("0"));
      batch.put("counter", std::to_string(value + 1));
    });
    std::printf("%.3f\n", elapsed_ms(begin));
  }
  return 0;
}
const HelperName kCount("count", count);

void print_waits(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  std::printf("per operation: p50 %.1f ms, p99 %.1f ms, max %.1f ms\n", times[times.size() / 2],
              times[times.size() * 99 / 100], times.back());
}

TEST(Processes, EveryIncrementCounts) {
  TempDir temp;
  std::vector<std::unique_ptr<Helper>> helpers;
  for (int i = 0; i < 8; ++i)
    helpers.push_back(
        std::make_unique<Helper>(std::vector<std::string>{"count", temp.path(), "200"}));
  std::vector<double> times;
  for (auto& helper : helpers) {
    for (std::string text; !(text = helper->line()).empty();) times.push_back(std::stod(text));
    EXPECT_EQ(helper->wait(), 0);
  }
  EXPECT_EQ(get(*open_store(temp.path()), "counter"), "1600");
  print_waits(times);
}

}  // namespace
}  // namespace ctrd::store
