// SPDX-License-Identifier: Apache-2.0
#include "shim/publisher.h"

#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"

namespace ctrd::shim {
namespace {

constexpr Nanos kMoment = std::chrono::milliseconds(5);  // this is the shim's only thread
constexpr Nanos kTryAgain = std::chrono::milliseconds(100);
constexpr std::size_t kMost = 4096;

UniqueFd open_journal(const std::string& path) {
  if (!path.starts_with('/')) throw invalid("journal_dir", path, "not an absolute path");
  UniqueFd dir = open_dir(path);
  struct stat facts {};
  if (::fstat(dir.get(), &facts) < 0) throw sys_error("stat " + path);
  if (facts.st_uid != ::geteuid() || (facts.st_mode & 022) != 0)
    throw Error(Code::kPermissionDenied, "journal_dir " + path + ": others can write to it");
  return dir;
}

}  // namespace

void Publisher::open(const std::string& journal, std::string instance) {
  writer_.reset();
  instance_ = std::move(instance);
  if (!journal.empty()) writer_.emplace(open_journal(journal));
}

void Publisher::forward_to(const std::string& address) {
  if (!address.empty()) forwarder_.emplace(loop_, address);
}

void Publisher::add(api::Event event) {
  if (forwarder_) {
    event.id.clear();  // not of containerd's envelope
    forwarder_->add(event);
    return;
  }
  if (!writer_) return;
  waiting_.push_back(api::encode(event));
  if (waiting_.size() > kMost) waiting_.pop_front();
  if (retrying_ || append_all()) return;
  retrying_ = true;
  start(loop_, retry(), "publishing events");
}

bool Publisher::append_all() {
  std::vector<std::string> events(waiting_.begin(), waiting_.end());
  try {
    writer_->append(events, Wait{after(kMoment), {}});
    waiting_.clear();
    return true;
  } catch (const Error& error) {
    if (!retrying_) log(Level::kWarning, "events wait: " + error.message());
    return false;
  }
}

asio::awaitable<void> Publisher::retry() {
  do co_await pause_for(kTryAgain);
  while (!append_all());
  retrying_ = false;
}

asio::awaitable<void> Publisher::finish_forwarding() {
  if (forwarder_) co_await forwarder_->finish({});
}

void Publisher::finish() {
  if (!waiting_.empty() && !append_all())
    log(Level::kError, std::to_string(waiting_.size()) + " events are lost");
}

}  // namespace ctrd::shim
