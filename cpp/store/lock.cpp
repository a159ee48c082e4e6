// SPDX-License-Identifier: Apache-2.0
#include "store/lock.h"

#include <fcntl.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/process.h"

namespace ctrd::store {
namespace {

using std::chrono::microseconds;

constexpr Nanos kInQueue = microseconds(400);
constexpr Nanos kFirst = microseconds(100);
constexpr Nanos kPatience = std::chrono::milliseconds(50);  // with who may be stopped

// False: a signal came.
bool pause(Nanos duration) {
  timespec time{0, static_cast<long>(duration.count())};
  return ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr) == 0;
}

bool try_until(const std::function<bool()>& done, Nanos step, TimePoint until) {
  while (!done()) {
    TimePoint now = Clock::now();
    if (now >= until || !pause(std::min<Nanos>(step, until - now))) return false;
  }
  return true;
}

// A place in the queue: the byte, in a file that has none, at the time at which its owner came,
// locked by fcntl(2). It goes with a process that is killed, a fork()ed child has none of it, and
// the kernel says whose it is. Any close of that file would end it: only here it is opened, by the
// thread that has the turn.
class Place {
 public:
  Place(int dir, TimePoint since) : file_(dir, "queue"), at_(since.time_since_epoch().count()) {
    while (!set(F_WRLCK)) ++at_;  // somebody has come at the same time
  }
  ~Place() { set(F_UNLCK); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  // A process that is stopped has nothing but its place, so after a while it is passed: it would
  // keep all who come behind it waiting. Exclusion is the gate's, not the queue's.
  bool is_first(bool is_patient) const {
    return !find(0, at_) || (!is_patient && !anyone_goes_on(0, at_));
  }

 private:
  static struct flock range(short type, off_t start, off_t size) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = start;
    lock.l_len = size;
    return lock;
  }
  // False: it is somebody else's.
  bool set(short type) const {
    struct flock one = range(type, at_, 1);
    if (::fcntl(file_.fd(), F_SETLK, &one) == 0) return true;
    if (errno == EAGAIN || errno == EACCES || type == F_UNLCK) return false;
    throw sys_error("lock a place in the queue of the store");
  }

  // Somebody's place there, not always the first.
  std::optional<struct flock> find(off_t begin, off_t end) const {
    if (begin >= end) return std::nullopt;  // a size of 0 would be: all
    struct flock one = range(F_WRLCK, begin, end - begin);
    if (::fcntl(file_.fd(), F_GETLK, &one) < 0 || one.l_type == F_UNLCK) return std::nullopt;
    return one;
  }
  // Somebody who is not stopped has a place there.
  bool anyone_goes_on(off_t begin, off_t end) const {
    while (const auto one = find(begin, end)) {
      auto state = process_state(one->l_pid);
      if (state != 'T' && state != 't') return true;
      if (anyone_goes_on(begin, one->l_start)) return true;
      begin = one->l_start + 1;
    }
    return false;
  }

  LockFile file_;
  off_t at_;
};

}  // namespace

std::unique_ptr<DatabaseLock> DatabaseLock::take(int dir, TimePoint since, TimePoint until) {
  std::unique_ptr<DatabaseLock> lock(new DatabaseLock(dir));
  {
    const Place place(dir, since);
    auto comes = [&] { return place.is_first(Clock::now() - since < kPatience); };
    if (!try_until(comes, kInQueue, until)) return nullptr;
    if (!try_until([&] { return lock->gate_.try_lock(); }, kFirst, until)) return nullptr;
  }
  name_holder(lock->gate_.fd());
  if (!try_until([&] { return lock->db_.try_lock(); }, kFirst, until)) return nullptr;
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
  LockFile db(dir, "db"), gate(dir, "gate");
  return read_holder(db.try_lock() ? gate.fd() : db.fd());
}

}  // namespace ctrd::store
