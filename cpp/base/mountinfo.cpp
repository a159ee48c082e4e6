// SPDX-License-Identifier: Apache-2.0
#include "base/mountinfo.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"

namespace ctrd {
namespace {

constexpr std::size_t kMaxTable = 64u << 20;

bool is_octal(char c) { return c >= '0' && c <= '7'; }

// Space, tab, newline and backslash are written as three octal digits.
std::string unescape(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      int value = (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0');
      result += static_cast<char>(value);
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!line.empty()) {
    std::size_t end = std::min(line.find(' '), line.size());
    fields.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return fields;
}

// id, parent, major:minor, root, target, options, optional fields, "-", type, source, super
// options.
void parse_line(std::string_view line, std::vector<MountEntry>* entries) {
  auto fields = fields_of(line);
  if (fields.size() < 10) return;
  auto dash = std::find(fields.begin() + 6, fields.end(), "-");
  if (fields.end() - dash < 4) return;
  entries->push_back({std::string(fields[2]), unescape(fields[3]), unescape(fields[4]),
                      std::string(dash[1]), unescape(dash[2]), std::string(dash[3])});
}

}  // namespace

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> entries;
  while (!text.empty()) {
    std::size_t end = std::min(text.find('\n'), text.size());
    parse_line(text.substr(0, end), &entries);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return entries;
}

std::vector<MountEntry> read_mountinfo() {
  UniqueFd fd(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!fd) throw sys_error("open /proc/self/mountinfo");
  return parse_mountinfo(read_file(fd.get(), kMaxTable));
}

}  // namespace ctrd
