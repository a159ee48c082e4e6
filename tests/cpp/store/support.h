// SPDX-License-Identifier: Apache-2.0
// A directory under /tmp that goes with its object, and helper processes: this test program run
// again with "--helper <name>".
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/spawn.h"
#include "base/temp_dir.h"
#include "store/store.h"

namespace ctrd::store {

// Opened and closed by each operation.
inline const StoreConfig kOpenedEach{.idle_close = {}};

std::shared_ptr<Store> open_store(const std::string& path, const StoreConfig& config = {});
void put(Store& store, const std::string& key, const std::string& value);
std::optional<std::string> get(Store& store, const std::string& key);
std::map<std::string, std::string> contents(Store& store);

// The condition, asked until it holds or 30 s are over.
bool comes_true(const std::function<bool()>& condition);
// A process's descriptors that are at or below a path, as numbers.
std::vector<std::string> descriptors_below(const std::string& path,
                                           const std::string& process = "self");

// Milliseconds since.
double elapsed_ms(TimePoint begin);

// A helper process; killed and reaped at the end if it still runs.
class Helper {
 public:
  explicit Helper(std::vector<std::string> args);
  ~Helper();
  void say(const std::string& text);  // to its stdin
  std::string line();                 // its next line of output, "" at the end
  std::string rest();                 // all that is left of it
  void kill();                        // SIGKILL and reap
  int wait();                         // closes its stdin; exit status
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
