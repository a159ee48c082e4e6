// SPDX-License-Identifier: Apache-2.0
#include "store/lock.h"

#include <time.h>

#include <algorithm>
#include <exception>

#include "base/process.h"

namespace ctrd::store {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Newcomers try every 0.8 ms, those that have waited for 20 ms every 0.1 ms: the gate has no queue,
// so this is what keeps the longest wait short.
constexpr Nanos kLongPause = microseconds(800);
constexpr Nanos kShortPause = microseconds(100);
constexpr Nanos kAged = milliseconds(20);

Nanos pause_after(Nanos waited) {
  auto step = (kLongPause - kShortPause) * std::min(waited, kAged).count() / kAged.count();
  return kLongPause - step;
}

// False: a signal came.
bool pause(Nanos duration) {
  timespec time{0, static_cast<long>(duration.count())};
  return ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr) == 0;
}

bool try_until(LockFile& file, TimePoint since, TimePoint until) {
  while (!file.try_lock()) {
    TimePoint now = Clock::now();
    if (now >= until || !pause(std::min<Nanos>(pause_after(now - since), until - now)))
      return false;
  }
  return true;
}

}  // namespace

std::unique_ptr<DatabaseLock> DatabaseLock::take(int dir, TimePoint since, TimePoint until) {
  std::unique_ptr<DatabaseLock> lock(new DatabaseLock(dir));
  if (!try_until(lock->gate_, since, until)) return nullptr;
  name_holder(lock->gate_.fd());
  // In the gate there is one at most, so it may be the quickest.
  if (!try_until(lock->db_, since - kAged, until)) return nullptr;
  lock->gate_.unlock();
  Holder last = read_holder(lock->db_.fd());
  lock->was_clean_ = last.marker == kClean && last.boot == boot_id();
  write_holder(lock->db_.fd(), this_holder());
  return lock;
}

bool DatabaseLock::wanted() noexcept try {
  if (!gate_.try_lock()) return true;
  gate_.unlock();
  return false;
} catch (const std::exception&) {  // the system has no locks left: then rather none is held
  return true;
}

Holder DatabaseLock::holder(int dir) {
  LockFile db(dir, "db");
  if (!db.try_lock()) return read_holder(db.fd());
  return read_holder(LockFile(dir, "gate").fd());  // stopped in there, say
}

}  // namespace ctrd::store
