// SPDX-License-Identifier: Apache-2.0
#include "shim/descriptor_limit.h"

#include <sys/resource.h>

#include "base/error.h"

namespace ctrd::shim {
namespace {

rlimit inherited{};
bool raised = false;

}  // namespace

std::size_t raise_descriptor_limit() {
  if (::getrlimit(RLIMIT_NOFILE, &inherited) < 0) throw sys_error("reading RLIMIT_NOFILE");
  rlimit most{inherited.rlim_max, inherited.rlim_max};
  raised = ::setrlimit(RLIMIT_NOFILE, &most) == 0;
  return raised ? most.rlim_cur : inherited.rlim_cur;
}

void restore_descriptor_limit() {
  if (raised) ::setrlimit(RLIMIT_NOFILE, &inherited);
}

}  // namespace ctrd::shim
