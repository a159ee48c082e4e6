// SPDX-License-Identifier: Apache-2.0
// The content of the lock file "db": whether its last holder closed the database cleanly, and who
// that was. Text, one line:
//   <'D' dirty or 'C' clean> <boot id> <pid> <since, ns since 1970> <command>
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ctrd::store {

inline constexpr char kDirty = 'D';
inline constexpr char kClean = 'C';

struct Holder {
  char marker = kDirty;
  std::string boot;
  pid_t pid = 0;
  int64_t since_ns = 0;
  std::string command;  // escaped, at most 128 bytes
};

std::string encode(const Holder& holder);
Holder decode_holder(
    std::string_view text);  // fields that are damaged stay as they are in Holder{}
Holder this_holder();        // dirty, now

// Reads and writes the lock file.
Holder read_holder(int fd);
void write_holder(int fd, const Holder& holder);
void name_holder(int fd);  // write_holder of this process, for others to read; throws nothing
void write_marker(int fd, char marker);  // throws nothing: a marker that stays 'D' only costs time

// RootBusy: kUnavailable, kRoot; names the holder. path: the root's metadata directory.
Error root_busy(const std::string& path, const Holder& holder);

}  // namespace ctrd::store
