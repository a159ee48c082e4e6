// SPDX-License-Identifier: Apache-2.0
#include "metadata/ledger.h"

#include "metadata/changes.h"
#include "metadata/schema.h"

namespace ctrd::metadata {

using store::Batch;
using store::View;

void Ledger::write(const Wait& wait, const std::function<void(const View&, Batch&)>& f) {
  std::vector<uint64_t> tidied, listed;
  std::vector<Pending> pending;
  try {
    store_->write(wait, [&](const View& view, Batch& batch) {
      f(view, batch);
      if (batch.empty()) return;
      std::lock_guard lock(mutex_);
      tidied.swap(later_);
      listed.swap(listed_);
      for (uint64_t n : tidied) batch.erase(key_trash(n));
      for (uint64_t n : listed) batch.erase(key_outbox(n));
      pending = backlog_.find(view, listed, batch);
    });
  } catch (...) {
    forget_trash_later(tidied);
    std::lock_guard lock(mutex_);
    listed_.insert(listed_.end(), listed.begin(), listed.end());
    throw;
  }
  publish(pending);
}

void Ledger::change(const Wait& wait, const std::function<void(Changes&)>& f) {
  write(wait, [&](const View& view, Batch& batch) {
    Changes changes(view, batch, journal());
    f(changes);
  });
}

void Ledger::publish(const std::vector<Pending>& pending) {
  if (pending.empty() || !outlet_.publish) return;
  std::vector<uint64_t> done = outlet_.publish(pending);
  std::lock_guard lock(mutex_);
  listed_.insert(listed_.end(), done.begin(), done.end());
}

void Ledger::publish_left(const Wait& wait) {
  std::vector<Pending> pending;
  store_->read(wait, [&](const View& view) {
    std::lock_guard lock(mutex_);
    pending = backlog_.find(view, listed_);
  });
  publish(pending);
}

void Ledger::settle(const Wait& wait) {
  for (;;) {
    publish_left(wait);
    std::vector<uint64_t> tidied, listed;
    {
      std::lock_guard lock(mutex_);
      tidied.swap(later_);
      listed.swap(listed_);
    }
    if (tidied.empty() && listed.empty()) return;
    try {
      store_->write(wait, [&](const View&, Batch& batch) {
        for (uint64_t n : tidied) batch.erase(key_trash(n));
        for (uint64_t n : listed) batch.erase(key_outbox(n));
        batch.relax();
      });
    } catch (...) {
      forget_trash_later(tidied);
      std::lock_guard lock(mutex_);
      listed_.insert(listed_.end(), listed.begin(), listed.end());
      throw;
    }
    if (listed.empty()) return;
  }
}

void Ledger::forget_trash(const std::vector<uint64_t>& numbers, const Wait& wait) {
  if (numbers.empty()) return;
  store_->write(wait, [&](const View&, Batch& batch) {
    for (uint64_t n : numbers) batch.erase(key_trash(n));
    batch.relax();
  });
}

void Ledger::forget_trash_later(const std::vector<uint64_t>& numbers) {
  std::lock_guard lock(mutex_);
  later_.insert(later_.end(), numbers.begin(), numbers.end());
}

}  // namespace ctrd::metadata
