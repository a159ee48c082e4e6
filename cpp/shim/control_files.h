// SPDX-License-Identifier: Apache-2.0
// The files of one cgroup, in all its hierarchies as one; what is not there is 0 or empty.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace ctrd::shim {

class ControlFiles {
 public:
  explicit ControlFiles(const std::vector<UniqueFd>& dirs) : dirs_(dirs) {}

  bool all_v2() const;
  std::string text(const std::string& name) const;
  // The number that it is. none: what "max" is.
  uint64_t value(const std::string& name, uint64_t none = 0) const;
  // All numbers in it.
  std::vector<uint64_t> values(const std::string& name) const;
  // Of lines "word number".
  std::map<std::string, uint64_t, std::less<>> words(const std::string& name) const;
  // What stands for * in the names "prefix*suffix" of files.
  std::vector<std::string> between(std::string_view prefix, std::string_view suffix) const;

 private:
  const std::vector<UniqueFd>& dirs_;
};

// Without empty ones.
std::vector<std::string_view> split(std::string_view text, std::string_view separators);
uint64_t number_of(std::string_view text, uint64_t none = 0);

}  // namespace ctrd::shim
