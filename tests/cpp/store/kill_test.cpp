// SPDX-License-Identifier: Apache-2.0
// Processes killed at any moment: what they were told is written stays, and the lock is free at
// once.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <random>
#include <thread>

#include "store/support.h"

namespace ctrd::store {
namespace {

// writer <path> <prefix> <size>: writes prefix0, prefix1 ... and prints each number when it is
// written.
int write_for_ever(const std::vector<std::string>& args) {
  auto store = open_store(args.at(0));
  std::string value(std::stoul(args.at(2)), 'x');
  for (int i = 0;; ++i) {
    put(*store, args.at(1) + std::to_string(i), value);
    std::printf("%d\n", i);
    std::fflush(stdout);
  }
}
const HelperName kWriter("writer", write_for_ever);

void clear(Store& store) {
  store.write({}, [](const View& view, Batch& batch) {
    view.scan("", "\xff", [&](std::string_view key, std::string_view) {
      batch.erase(std::string(key));
      return true;
    });
  });
}

// The keys that were acknowledged and are not there.
std::size_t missing(Store& store, const std::vector<std::string>& keys) {
  std::size_t count = 0;
  store.read({}, [&](const View& view) {
    for (const auto& key : keys) count += !view.find(key);
  });
  return count;
}

TEST(Kill, LosesNothingAcknowledged) {
  TempDir temp;
  auto store = open_store(temp.path());
  std::mt19937 random(7);
  std::vector<std::string> acknowledged;
  std::size_t total = 0;
  for (int round = 0; round < 200; ++round) {
    std::string prefix = "k" + std::to_string(round) + "-";
    Helper writer({"writer", temp.path(), prefix, std::to_string(random() % 3 * 15'000 + 100)});
    std::string first = writer.line();
    ::usleep(static_cast<useconds_t>(random() % 4000));  // any moment will do
    ::kill(writer.child().pid, SIGKILL);
    std::string text = first + "\n" + writer.rest();
    for (std::size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1)
      acknowledged.push_back(prefix + text.substr(at, end - at));
    writer.wait();
    if (round % 20 != 19) continue;
    total += acknowledged.size();
    EXPECT_EQ(missing(*store, acknowledged), 0u) << "of " << acknowledged.size();
    acknowledged.clear();
    clear(*store);
  }
  std::printf("200 kills, %zu acknowledged writes\n", total);
}

}  // namespace
}  // namespace ctrd::store
