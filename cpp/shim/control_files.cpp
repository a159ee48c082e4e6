// SPDX-License-Identifier: Apache-2.0
#include "shim/control_files.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"

namespace ctrd::shim {

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    std::size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

uint64_t number_of(std::string_view text, uint64_t none) {
  if (text.starts_with("max")) return none;
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// A hybrid machine has a v2 hierarchy beside v1's.
bool ControlFiles::all_v2() const {
  return std::ranges::all_of(dirs_, [](const UniqueFd& dir) {
    return ::faccessat(dir.get(), "cgroup.controllers", F_OK, 0) == 0;
  });
}

std::string ControlFiles::text(const std::string& name) const {
  for (const UniqueFd& dir : dirs_)
    if (std::string text = read_control(dir.get(), name); !text.empty()) return text;
  return {};
}

uint64_t ControlFiles::value(const std::string& name, uint64_t none) const {
  return number_of(text(name), none);
}

std::vector<uint64_t> ControlFiles::values(const std::string& name) const {
  std::vector<uint64_t> found;
  std::string all = text(name);
  for (std::string_view part : split(all, " \n")) found.push_back(number_of(part));
  return found;
}

std::map<std::string, uint64_t, std::less<>> ControlFiles::words(const std::string& name) const {
  std::map<std::string, uint64_t, std::less<>> found;
  std::string all = text(name);
  for (std::string_view line : split(all, "\n")) {
    std::vector<std::string_view> parts = split(line, " ");
    if (parts.size() == 2) found.insert_or_assign(std::string(parts[0]), number_of(parts[1]));
  }
  return found;
}

std::vector<std::string> ControlFiles::between(std::string_view prefix,
                                               std::string_view suffix) const {
  std::vector<std::string> found;
  for (const UniqueFd& dir : dirs_) {
    for (const std::string& name : list_dir(dir.get())) {
      std::string_view rest = name;
      if (!rest.starts_with(prefix) || !rest.ends_with(suffix)) continue;
      rest.remove_prefix(prefix.size());
      rest.remove_suffix(std::min(suffix.size(), rest.size()));
      if (!rest.empty() && rest.find('.') == rest.npos) found.emplace_back(rest);
    }
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace ctrd::shim
