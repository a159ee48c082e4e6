// SPDX-License-Identifier: Apache-2.0
// The tables themselves: no name twice, none both allowed and denied, capabilities that exist.
#include <gtest/gtest.h>

#include <set>

#include "oci/capabilities.h"
#include "oci/seccomp.h"

namespace ctrd::oci {
namespace {

TEST(SeccompSyscalls, tables_are_disjoint) {
  std::set<std::string_view> seen;
  for (std::string_view name : allowed_syscalls()) EXPECT_TRUE(seen.insert(name).second) << name;
  for (std::string_view name : denied_syscalls()) EXPECT_TRUE(seen.insert(name).second) << name;
  for (const CapSyscall& row : capability_syscalls()) {
    EXPECT_FALSE(seen.contains(row.name)) << row.name;
    EXPECT_TRUE(is_capability(row.capability)) << row.capability;
  }
  for (const char* name : {"socket", "clone", "clone3", "personality"})
    EXPECT_FALSE(seen.contains(name)) << name;
}

}  // namespace
}  // namespace ctrd::oci
