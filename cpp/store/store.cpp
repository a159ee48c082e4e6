// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <sys/stat.h>

#include <map>
#include <new>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "store/database.h"
#include "store/fork_guard.h"
#include "store/lock.h"
#include "store/turn.h"

namespace ctrd::store {
namespace {

constexpr Nanos kSlice = std::chrono::milliseconds(40);  // a Wait wants to be asked every 50

// What all Stores of one directory in this process share.
struct Shared {
  explicit Shared(UniqueFd opened) : dir(std::move(opened)), path(real_path(fd_path(dir.get()))) {}

  UniqueFd dir;
  std::string path;  // for messages
  Turns turns;
};

using Identity = std::pair<dev_t, ino_t>;
using Registry = std::map<Identity, std::weak_ptr<Shared>>;

// Guarded by ForkLock. A child begins with an empty one.
Registry& registry() {
  static Registry* instance = new Registry;
  return *instance;
}

std::shared_ptr<Shared> shared_of(UniqueFd dir) {
  struct stat facts {};
  if (::fstat(dir.get(), &facts) < 0) throw sys_error("stat the metadata directory");
  ForkLock lock;
  std::erase_if(registry(), [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<Shared>& known = registry()[{facts.st_dev, facts.st_ino}];
  std::shared_ptr<Shared> shared = known.lock();
  if (!shared) known = shared = std::make_shared<Shared>(std::move(dir));
  return shared;
}

// The turn of this thread and the lock of this process, both released at the end.
class Held {
 public:
  explicit Held(Turns& turns) : turns_(turns) {}
  ~Held() {
    lock_.reset();
    turns_.release();
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  DatabaseLock& lock() { return *lock_; }
  bool take_lock(int dir, TimePoint since, TimePoint until) {
    lock_ = DatabaseLock::take(dir, since, until);
    return lock_ != nullptr;
  }

 private:
  Turns& turns_;
  std::unique_ptr<DatabaseLock> lock_;
};

class SharedStore : public Store {
 public:
  SharedStore(std::shared_ptr<Shared> shared, const StoreConfig& config)
      : shared_(std::move(shared)), config_(config), generation_(process_generation()) {}
  ~SharedStore() override;

  void read(const Wait& wait, const std::function<void(const View&)>& f) override {
    run(wait, [&](Database& database) { f(database); });
  }
  void write(const Wait& wait, const std::function<void(const View&, Batch&)>& f) override {
    run(wait, [&](Database& database) {
      Batch batch;
      f(database, batch);
      if (!batch.empty()) database.apply(batch);
    });
  }

 private:
  void run(const Wait& wait, const std::function<void(Database&)>& f);
  std::unique_ptr<Held> take(const Wait& wait);
  std::unique_ptr<Held> try_take(uint64_t ticket, TimePoint since, TimePoint until);
  void check_process() const;

  std::shared_ptr<Shared> shared_;
  StoreConfig config_;
  uint64_t generation_;
};

// In a child what is shared may be locked for ever, and destroying it would wait.
SharedStore::~SharedStore() {
  if (generation_ != process_generation())
    new (std::nothrow) std::shared_ptr<Shared>(std::move(shared_));
}

void SharedStore::check_process() const {
  if (generation_ == process_generation()) return;
  throw failed_precondition("use the store: it was opened before a fork; open it anew in the child",
                            Kind::kFork);
}

std::unique_ptr<Held> SharedStore::try_take(uint64_t ticket, TimePoint since, TimePoint until) {
  if (!shared_->turns.take(ticket, until)) return nullptr;
  auto held = std::make_unique<Held>(shared_->turns);
  if (!held->take_lock(shared_->dir.get(), since, until)) return nullptr;
  return held;
}

std::unique_ptr<Held> SharedStore::take(const Wait& wait) {
  uint64_t ticket = shared_->turns.ticket();
  TimePoint since = Clock::now();
  TimePoint deadline = std::min(wait.deadline, after(config_.lock_timeout));
  for (;;) {
    TimePoint until = wait.interrupted ? std::min(deadline, after(kSlice)) : deadline;
    if (auto held = try_take(ticket, since, until)) return held;
    wait.check();  // may run anything, a store operation too: nothing is held here
    if (Clock::now() >= deadline)
      throw root_busy(shared_->path, DatabaseLock::holder(shared_->dir.get()));
  }
}

void SharedStore::run(const Wait& wait, const std::function<void(Database&)>& f) {
  check_process();
  std::unique_ptr<Held> held = take(wait);
  Database database(shared_->dir.get(), shared_->path, held->lock().was_clean());
  try {
    f(database);
  } catch (...) {
    if (database.close()) held->lock().mark_clean();
    throw;
  }
  if (database.close()) held->lock().mark_clean();
}

}  // namespace

void View::scan_prefix(
    std::string_view prefix,
    const std::function<bool(std::string_view key, std::string_view value)>& f) const {
  std::string last(prefix);
  while (!last.empty() && last.back() == '\xff') last.pop_back();
  if (last.empty()) throw invalid("prefix", prefix, "must have a byte below 0xff");
  ++last.back();
  scan(prefix, last, f);
}

std::shared_ptr<Store> Store::at(UniqueFd dir, const StoreConfig& config) {
  watch_forks();
  on_fork_in_child([] { registry().clear(); });
  return std::make_shared<SharedStore>(shared_of(std::move(dir)), config);
}

}  // namespace ctrd::store
