// SPDX-License-Identifier: Apache-2.0
// What was made through one engine and is this process's, so that close() takes that and nothing
// else. Thread: safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace ctrd::engine {

class Made {
 public:
  using All = std::map<std::pair<std::string, std::string>, int64_t>;  // (ns, id) -> created_ns

  void remember(const std::string& ns, const std::string& id, int64_t created_ns) {
    std::lock_guard lock(mutex_);
    all_[{ns, id}] = created_ns;
  }
  // created_ns: of the one that is meant, if not whichever has the id (0).
  void forget(const std::string& ns, const std::string& id, int64_t created_ns = 0) {
    std::lock_guard lock(mutex_);
    auto found = all_.find({ns, id});
    if (found != all_.end() && (created_ns == 0 || found->second == created_ns)) all_.erase(found);
  }
  All all() const {
    std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  mutable std::mutex mutex_;
  All all_;
};

}  // namespace ctrd::engine
