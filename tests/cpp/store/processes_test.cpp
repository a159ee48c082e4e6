// SPDX-License-Identifier: Apache-2.0
// Many processes on one store: every increment counts, and nobody waits long (figures are printed,
// not asserted). `make bench` runs it with CTRD_BENCH=1: more of them, and records beside them; in
// CTRD_SPEED_DIR, an empty directory on a disk.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/process.h"
#include "store/support.h"

namespace ctrd::store {
namespace {

constexpr int kProcesses = 8;
bool is_bench() { return ::getenv("CTRD_BENCH") != nullptr; }

// count <path> <n> <size>: once its stdin has a line, adds n to the counter, one by one, with a
// record of the size in the same batch if it is not 0; prints each operation's milliseconds.
int count(const std::vector<std::string>& args) {
  auto store = open_store(args.at(0));
  std::string record(std::stoul(args.at(2)), 'r');
  std::getchar();
  for (int left = std::stoi(args.at(1)); left > 0; --left) {
    TimePoint begin = Clock::now();
    store->write({}, [&](const View& view, Batch& batch) {
      int value = std::stoi(view.find("counter").value_or("0"));
      batch.put("counter", std::to_string(value + 1));
      if (!record.empty()) batch.put("r/" + std::to_string(value % 1000), record);
    });
    std::printf("%.3f\n", elapsed_ms(begin));
  }
  return 0;
}
const HelperName kCount("count", count);

void print_figures(std::vector<double> times, double total_ms) {
  std::sort(times.begin(), times.end());
  std::printf("%5.0f op/s; each: p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
              static_cast<double>(times.size()) * 1000 / total_ms, times[times.size() / 2],
              times[times.size() * 99 / 100], times.back());
}

// All at once; the counter's end.
std::string count_together(const std::string& path, int each, std::size_t size) {
  std::vector<std::string> args{"count", path, std::to_string(each), std::to_string(size)};
  std::vector<std::unique_ptr<Helper>> helpers;
  for (int i = 0; i < kProcesses; ++i) helpers.push_back(std::make_unique<Helper>(args));
  TimePoint begin = Clock::now();
  for (auto& helper : helpers) helper->say("\n");
  std::vector<double> times;
  for (auto& helper : helpers) {
    for (std::string text; !(text = helper->line()).empty();) times.push_back(std::stod(text));
    EXPECT_EQ(helper->wait(), 0);
  }
  print_figures(times, elapsed_ms(begin));
  return get(*open_store(path), "counter").value_or("none");
}

struct ProcessesTest : testing::Test {
  ProcessesTest() {
    const char* disk = ::getenv("CTRD_SPEED_DIR");
    path = disk ? std::string(disk) + "/" + random_hex(4) : temp.path("m");
    ::mkdir(path.c_str(), 0700);
  }
  ~ProcessesTest() override { std::filesystem::remove_all(path); }

  TempDir temp;
  std::string path;
  int each = is_bench() ? 500 : 100;
};

TEST_F(ProcessesTest, EveryIncrementCounts) {
  EXPECT_EQ(count_together(path, each, 0), std::to_string(kProcesses * each));
}

TEST_F(ProcessesTest, EveryIncrementCountsWithRecords) {
  EXPECT_EQ(count_together(path, each, 3000), std::to_string(kProcesses * each));
}

}  // namespace
}  // namespace ctrd::store
