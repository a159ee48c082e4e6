// SPDX-License-Identifier: Apache-2.0
// A directory under /tmp that goes with its object, and helper processes: this test program run
// again with "--helper <name>".
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/spawn.h"
#include "base/temp_dir.h"
#include "store/store.h"

namespace ctrd::store {

std::shared_ptr<Store> open_store(const std::string& path, const StoreConfig& config = {});
void put(Store& store, const std::string& key, const std::string& value);
std::optional<std::string> get(Store& store, const std::string& key);
std::map<std::string, std::string> contents(Store& store);

// Milliseconds since.
double elapsed_ms(TimePoint begin);

// A helper process; killed and reaped at the end if it still runs.
class Helper {
 public:
  explicit Helper(std::vector<std::string> args);
  ~Helper();
  std::string line();  // its next line of output, "" at the end
  std::string rest();  // all that is left of it
  void kill();         // SIGKILL and reap
  int wait();          // closes its stdin; exit status
  const Child& child() const { return child_; }

 private:
  Child child_;
  UniqueFd input_, output_;
  bool reaped_ = false;
};

using HelperMain = int (*)(const std::vector<std::string>& args);
struct HelperName {
  HelperName(const char* name, HelperMain main);  // registers it
};
int run_helper(const std::vector<std::string>& args);

}  // namespace ctrd::store
