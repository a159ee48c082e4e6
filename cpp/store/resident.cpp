// SPDX-License-Identifier: Apache-2.0
#include "store/resident.h"

#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "store/log_file.h"
#include "store/repair.h"

namespace ctrd::store {

Resident::Resident(UniqueFd dir)
    : dir_(std::move(dir)),
      path_(real_path(fd_path(dir_.get()))),
      timer_([this] { return tick(); }) {}

Resident::~Resident() {
  timer_.stop();
  close();
}

bool Resident::open(const StoreConfig& config, TimePoint since, TimePoint until) {
  reserve_ = config.reserve;
  idle_close_ = config.idle_close;
  if (database_) return true;
  lock_ = DatabaseLock::take(dir_.get(), since, until);
  if (!lock_) return false;
  try {
    open_database(lock_->was_clean());
  } catch (const Error& error) {
    if (!release_reserve(error)) throw;
    open_database(false);
  }
  return true;
}

// What a kill leaves at a log's end is no damage, and what a power loss leaves none that counts.
void Resident::open_database(bool was_clean) {
  try {
    database_.emplace(dir_.get(), path_, was_clean ? LogUse::kReuse : LogUse::kWhole);
  } catch (const Error& error) {
    if (was_clean || error.code() != Code::kDataLoss || !are_only_torn(dir_.get())) throw;
    database_.emplace(dir_.get(), path_, LogUse::kTorn);
  }
}

bool Resident::lock(TimePoint since, TimePoint until) {
  close();
  lock_ = DatabaseLock::take(dir_.get(), since, until);
  return lock_ != nullptr;
}

std::vector<DamagedFile> Resident::repair(const std::function<void(const View&, Batch&)>& first) {
  std::vector<DamagedFile> damage = repair_database(dir_.get(), path_, first);
  lock_->mark_clean();
  return damage;
}

bool Resident::release_reserve(const Error& error) const {
  return is_full(error) && reserve_ && reserve_->release();
}

void Resident::apply(const Batch& batch) {
  try {
    return database_->apply(batch);
  } catch (const Error& error) {
    if (!batch.uses_reserve() || !release_reserve(error)) throw;
  }
  // Its log was cut back to what was there before, and the lock is ours still.
  database_.reset();
  open_database(false);
  database_->apply(batch);
}

void Resident::finish() {
  if (database_ && database_->ok()) database_->run_background();
  bool keep = database_ && database_->ok() && idle_close_ > Nanos::zero() && !lock_->wanted();
  if (!keep || !timer_.start()) return close();
  used_ = Clock::now();
}

void Resident::close() {
  bool clean = database_ && database_->close();
  database_.reset();
  if (clean) lock_->mark_clean();
  lock_.reset();
}

void Resident::close_if_free() {
  if (!turns.try_take()) return;
  close();
  turns.release();
}

bool Resident::tick() {
  if (!turns.try_take()) return true;  // an operation: it looks for itself
  if (database_ && (lock_->wanted() || Clock::now() - used_ >= idle_close_)) close();
  bool goes_on = database_.has_value();
  if (!goes_on) timer_.ends();
  turns.release();
  return goes_on;
}

}  // namespace ctrd::store
