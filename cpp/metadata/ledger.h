// SPDX-License-Identifier: Apache-2.0
// The store as the records' classes see it: each write also erases the keys that are done with, and
// tells of its events when it is written. One for all records of a root in a process.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "metadata/outbox.h"
#include "store/store.h"

namespace ctrd::metadata {

class Changes;

class Ledger {
 public:
  explicit Ledger(std::shared_ptr<store::Store> store) : store_(std::move(store)) {}

  void read(const Wait& wait, const std::function<void(const store::View&)>& f) {
    store_->read(wait, f);
  }
  // store's write, which also erases the keys that were queued, then publishes the batch's events.
  void write(const Wait& wait, const std::function<void(const store::View&, store::Batch&)>& f);

  // The same in terms of records.
  void change(const Wait& wait, const std::function<void(Changes&)>& f);
  // store's: of the database itself.
  std::vector<store::DamagedFile> repair(
      const Wait& wait, const std::function<void(const store::View&, store::Batch&)>& first) {
    return store_->repair(wait, first);
  }

  // Before the first write. Without it, events stay in the store.
  void set_outlet(Outlet outlet) { outlet_ = std::move(outlet); }
  // Where the journal ends: for Changes.
  uint64_t journal() const { return outlet_.position ? outlet_.position() : 0; }
  // Appends what killed processes have left.
  void publish_left(const Wait& wait);
  // Publishes all that waits, and erases the keys that are done with.
  void settle(const Wait& wait);
  void forget_trash(const std::vector<uint64_t>& numbers, const Wait& wait);  // relaxed batch
  // Trash keys that go with the next batch that any write makes, instead of a batch of their own.
  void forget_trash_later(const std::vector<uint64_t>& numbers);

 private:
  void publish(const std::vector<Pending>& pending);

  std::shared_ptr<store::Store> store_;
  Outlet outlet_;
  std::mutex mutex_;
  std::vector<uint64_t> later_;   // numbers of trash keys
  std::vector<uint64_t> listed_;  // of outbox keys whose events are in the journal
  Backlog backlog_;
};

}  // namespace ctrd::metadata
