// SPDX-License-Identifier: Apache-2.0
// A mutex that is held across slow work (a probe, a recovery): whoever waits for it can still be
// interrupted.
#pragma once

#include <chrono>
#include <mutex>
#include <string_view>

#include "base/time.h"

namespace ctrd::engine {

// As the member of that name. libtsan 12 does not know the call that a steady clock makes of it.
inline bool try_lock_for(std::unique_lock<std::timed_mutex>& lock, Nanos duration) {
#ifdef __SANITIZE_THREAD__
  return lock.try_lock_until(std::chrono::system_clock::now() + duration);
#else
  return lock.try_lock_for(duration);
#endif
}

// Asks wait's `interrupted` every 20 ms; throws kDeadlineExceeded at its deadline.
inline std::unique_lock<std::timed_mutex> lock_patiently(std::timed_mutex& mutex, const Wait& wait,
                                                         std::string_view what) {
  std::unique_lock lock(mutex, std::try_to_lock);
  while (!lock) {
    wait.check();
    if (wait.expired()) throw_timeout(what, wait);
    static_cast<void>(try_lock_for(lock, std::chrono::milliseconds(20)));
  }
  return lock;
}

}  // namespace ctrd::engine
