// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <sys/stat.h>

#include <cstdlib>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "store/fork_guard.h"
#include "store/lock.h"
#include "store/resident.h"

namespace ctrd::store {
namespace {

constexpr Nanos kSlice = std::chrono::milliseconds(40);  // a Wait wants to be asked every 50

using Identity = std::pair<dev_t, ino_t>;
using Registry = std::map<Identity, std::weak_ptr<Resident>>;

// Guarded by ForkLock. A child begins with an empty one.
Registry& registry() {
  static Registry* instance = new Registry;
  return *instance;
}

std::shared_ptr<Resident> resident_of(UniqueFd dir) {
  struct stat facts {};
  if (::fstat(dir.get(), &facts) < 0) throw sys_error("stat the metadata directory");
  ForkLock lock;
  std::erase_if(registry(), [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<Resident>& known = registry()[{facts.st_dev, facts.st_ino}];
  std::shared_ptr<Resident> shared = known.lock();
  if (!shared) known = shared = std::make_shared<Resident>(std::move(dir));
  return shared;
}

// The turn of this thread; the database is kept or closed at its end. In a fork()ed child it is the
// parent's, and nothing of it may be touched.
class Turn {
 public:
  explicit Turn(Resident& resident) : resident_(resident) {}
  ~Turn() {
    if (generation_ != process_generation()) return;
    resident_.finish();
    resident_.turns.release();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Resident& resident_;
  uint64_t generation_ = process_generation();
};

class SharedStore : public Store {
 public:
  SharedStore(std::shared_ptr<Resident> resident, const StoreConfig& config)
      : resident_(std::move(resident)), config_(config), generation_(process_generation()) {}
  ~SharedStore() override;

  void read(const Wait& wait, const std::function<void(const View&)>& f) override {
    run(wait, [&] { f(resident_->database()); });
  }
  void write(const Wait& wait, const std::function<void(const View&, Batch&)>& f) override {
    run(wait, [&] {
      Batch batch;
      f(resident_->database(), batch);
      check_process();  // f may have forked
      if (!batch.empty()) resident_->apply(batch);
    });
  }
  std::vector<DamagedFile> repair(const Wait& wait,
                                  const std::function<void(const View&, Batch&)>& first) override {
    check_process();
    std::unique_ptr<Turn> turn = take(wait, Take::kLock);
    return resident_->repair(first);
  }

 private:
  enum class Take { kOpen, kLock };
  void run(const Wait& wait, const std::function<void()>& f);
  std::unique_ptr<Turn> take(const Wait& wait, Take what = Take::kOpen);
  std::unique_ptr<Turn> try_take(Take what, uint64_t ticket, TimePoint since, TimePoint until);
  void check_process() const;

  std::shared_ptr<Resident> resident_;
  StoreConfig config_;
  uint64_t generation_;
};

// In a child what is shared may be locked for ever, and destroying it would wait.
SharedStore::~SharedStore() {
  if (generation_ != process_generation())
    new (std::nothrow) std::shared_ptr<Resident>(std::move(resident_));
}

void SharedStore::check_process() const {
  if (generation_ == process_generation()) return;
  throw failed_precondition("use the store: it was opened before a fork; open it anew in the child",
                            Kind::kFork);
}

std::unique_ptr<Turn> SharedStore::try_take(Take what, uint64_t ticket, TimePoint since,
                                            TimePoint until) {
  if (!resident_->turns.take(ticket, until)) return nullptr;
  auto turn = std::make_unique<Turn>(*resident_);
  bool got =
      what == Take::kOpen ? resident_->open(config_, since, until) : resident_->lock(since, until);
  return got ? std::move(turn) : nullptr;
}

std::unique_ptr<Turn> SharedStore::take(const Wait& wait, Take what) {
  uint64_t ticket = resident_->turns.ticket();
  TimePoint since = Clock::now();
  TimePoint deadline = std::min(wait.deadline, after(config_.lock_timeout));
  for (;;) {
    TimePoint until = wait.interrupted ? std::min(deadline, after(kSlice)) : deadline;
    if (auto turn = try_take(what, ticket, since, until)) return turn;
    wait.check();  // may run anything, a store operation too: nothing is held here
    if (Clock::now() >= deadline)
      throw root_busy(resident_->path(), DatabaseLock::holder(resident_->dir()));
  }
}

void SharedStore::run(const Wait& wait, const std::function<void()>& f) {
  check_process();
  {
    std::unique_ptr<Turn> turn = take(wait);
    f();
    check_process();
  }
  if (config_.reserve) config_.reserve->keep();
}

// Whoever opens it next may reuse the log then. Threads may be in the middle of something still.
void close_all_at_exit() {
  std::vector<std::shared_ptr<Resident>> all;
  {
    ForkLock lock;
    for (const auto& [identity, known] : registry())
      if (auto resident = known.lock()) all.push_back(std::move(resident));
  }
  for (const auto& resident : all) resident->close_if_free();
}

// Before the first fork: a child would wait for ever for a value that another thread was making.
void prepare_process() {
  static const bool done = [] {
    watch_forks();
    on_fork_in_child([] { registry().clear(); });
    prepare_leveldb();
    this_holder();
    return std::atexit(close_all_at_exit) == 0;
  }();
  static_cast<void>(done);
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
  prepare_process();
  return std::make_shared<SharedStore>(resident_of(std::move(dir)), config);
}

}  // namespace ctrd::store
