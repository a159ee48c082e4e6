// SPDX-License-Identifier: Apache-2.0
#include "engine/owner.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/leftover.h"
#include "engine/patient_lock.h"

namespace ctrd::engine {
namespace {

using Place = std::pair<dev_t, ino_t>;

// Owners of this process, by state directory.
struct Owners {
  std::mutex mutex;
  std::map<Place, std::shared_ptr<Owner>> by_place;
};

Place place_of(int dir) {
  struct stat facts;
  if (::fstat(dir, &facts) < 0) throw sys_error("stat the state directory");
  return {facts.st_dev, facts.st_ino};
}

// A new file, locked before it has its name: whoever finds it by name finds it locked.
LockFd make_lock(int dir, const std::string& temporary) {
  LockFd lock = LockFd::open(
      [&] { return open_at(dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600); });
  if (!try_lock(lock.get())) throw Error(Code::kInternal, "lock " + temporary + ": it is taken");
  return lock;
}

// False: the lock of somebody who had that number before the records were lost has that name.
bool name_lock(int dir, const std::string& temporary, uint64_t number) {
  try {
    rename_at(dir, temporary, dir, std::to_string(number));
    return true;
  } catch (const Error& error) {
    if (error.sys_errno() != EEXIST) throw;
    return false;
  }
}

// A record and a named lock; what is not got leaves neither.
uint64_t take_number(const Root& root, const std::string& temporary,
                     metadata::Containers& containers, const Wait& wait) {
  for (;;) {
    const uint64_t number = containers.new_owner({this_process(), root.state_path}, wait);
    if (name_lock(root.owners.get(), temporary, number)) return number;
    containers.forget_owner(number, wait);
  }
}

}  // namespace

std::shared_ptr<Owner> Owner::join(const Root& root) {
  auto& all = per_process<Owners>();
  std::lock_guard lock(all.mutex);
  auto& owner = all.by_place[place_of(root.state.get())];
  if (!owner) owner = std::make_shared<Owner>();
  std::lock_guard inner(owner->mutex_);
  ++owner->engines_;
  return owner;
}

uint64_t Owner::number(const Root& root, metadata::Containers& containers, const Wait& wait) {
  auto lock = lock_patiently(mutex_, wait, "wait for the owner's number");
  if (number_ != 0) return number_;
  int dir = root.owners.get();
  std::string temporary = name_of_ours(".tmp-");
  LockFd file = make_lock(dir, temporary);
  try {
    number_ = take_number(root, temporary, containers, wait);
  } catch (...) {
    unlink_at(dir, temporary);
    throw;
  }
  lock_ = std::move(file);
  return number_;
}

bool Owner::is_ours(uint64_t number) const {
  std::lock_guard lock(mutex_);
  return number != 0 && number == number_;
}

void Owner::leave() noexcept {
  std::lock_guard lock(mutex_);
  --engines_;
}

void Owner::leave(const Root& root, metadata::Containers& containers, metadata::Leases& leases,
                  const Wait& wait) {
  std::lock_guard lock(mutex_);
  if (--engines_ > 0 || number_ == 0) return;
  if (!containers.owned(number_, wait).empty() || !leases.owned(number_, wait).empty()) return;
  containers.forget_owner(number_, wait);
  unlink_at(root.owners.get(), std::to_string(number_));
  lock_.reset();
  number_ = 0;
}

bool owner_is_dead(const Root& root, uint64_t number, const ProcessKey& process) {
  auto file = find_at(root.owners.get(), std::to_string(number), O_RDONLY | O_CLOEXEC);
  // Shared: those who look do not see each other.
  return file ? try_lock(file->get(), false) : !is_alive(process);
}

}  // namespace ctrd::engine
