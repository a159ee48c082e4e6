// SPDX-License-Identifier: Apache-2.0
// For those who look at many containers: which errors are one container's own.
#pragma once

#include "base/error.h"
#include "base/time.h"

namespace ctrd::engine {

// Its files are damaged, somebody else is at it, or its processes do not end: the others are not
// concerned. Not when the caller's own time is over, nor when it is the root.
inline bool is_its_own(const Error& error, const Wait& wait) {
  if (error.kind() == Kind::kRoot) return false;
  return error.code() == Code::kUnavailable || error.code() == Code::kDataLoss ||
         (error.code() == Code::kDeadlineExceeded && !wait.expired());
}

}  // namespace ctrd::engine
