// SPDX-License-Identifier: Apache-2.0
// Prints what an operation costs; asserts only that it was done. In memory, where a sync costs
// nothing, unless CTRD_SPEED_DIR names an empty directory on a disk.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "store/support.h"

namespace ctrd::store {
namespace {

void timed(const char* name, int rounds, const std::function<void(int)>& f) {
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    TimePoint begin = Clock::now();
    f(i);
    times.push_back(elapsed_ms(begin));
  }
  std::sort(times.begin(), times.end());
  std::printf("%-24s p50 %7.3f ms, max %7.3f ms\n", name, times[times.size() / 2], times.back());
}

void fill(Store& store, int count) {
  for (int i = 0; i < count; i += 100)
    store.write({}, [&](const View&, Batch& batch) {
      for (int j = i; j < i + 100; ++j) {
        batch.put("c/" + std::to_string(j), std::string(300, 'c'));
        batch.put("s/" + std::to_string(j), std::string(800, 's'));
      }
    });
}

TEST(Speed, OfOperations) {
  TempDir temp;
  const char* disk = ::getenv("CTRD_SPEED_DIR");
  auto store = open_store(disk ? disk : temp.path());
  timed("put, few records", 300,
        [&](int i) { put(*store, "k" + std::to_string(i % 50), std::string(800, 'x')); });
  timed("get, few records", 300, [&](int i) { get(*store, "k" + std::to_string(i % 50)); });
  fill(*store, 10'000);
  timed("put, 10,000 records", 300,
        [&](int i) { put(*store, "c/" + std::to_string(i * 7 % 10'000), std::string(300, 'x')); });
  timed("get, 10,000 records", 300, [&](int i) { get(*store, "c/" + std::to_string(i)); });
  std::size_t seen = 0;
  timed("list 10,000 records", 10, [&](int) {
    seen = 0;
    store->read({}, [&](const View& view) {
      view.scan_prefix("c/", [&](std::string_view, std::string_view) { return ++seen > 0; });
    });
  });
  EXPECT_EQ(seen, 10'000u);
}

}  // namespace
}  // namespace ctrd::store
