// SPDX-License-Identifier: Apache-2.0
#include "base/leftover.h"

#include <charconv>
#include <optional>

#include "base/process.h"

namespace ctrd {
namespace {

// The number in front of a '-', which is taken off.
template <typename Number>
std::optional<Number> take_number(std::string_view& text) {
  Number value = 0;
  std::size_t dash = text.find('-');
  if (dash == text.npos) return std::nullopt;
  auto [end, error] = std::from_chars(text.data(), text.data() + dash, value);
  if (error != std::errc() || end != text.data() + dash) return std::nullopt;
  text.remove_prefix(dash + 1);
  return value;
}

}  // namespace

std::string name_of_ours(std::string_view prefix, std::size_t random_bytes) {
  ProcessKey self = this_process();
  return std::string(prefix) + std::to_string(self.pid) + "-" + std::to_string(self.start) + "-" +
         random_hex(random_bytes);
}

bool is_leftover(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  auto pid = take_number<pid_t>(name);
  auto start = pid ? take_number<uint64_t>(name) : std::nullopt;
  return start && start_time(*pid) != start;
}

}  // namespace ctrd
