// SPDX-License-Identifier: Apache-2.0
#include "engine/launch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "api/checkpoint.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/pidfd.h"
#include "engine/children.h"
#include "engine/exits.h"
#include "engine/host.h"
#include "engine/kill_shim.h"
#include "engine/other_task.h"
#include "engine/restored_layer.h"
#include "engine/rpc.h"
#include "engine/runtime_options.h"
#include "engine/settle.h"
#include "engine/snapshot_layer.h"
#include "engine/task_layer.h"

namespace ctrd::engine {
namespace {

std::optional<Claim> claim_new(Core& core, const std::string& ns, const std::string& id) {
  auto claim = make_bundle(core, ns, id);
  if (!claim)
    throw Error(Code::kAlreadyExists, "container \"" + id + "\" has a task already", Kind::kTask)
        .with("id", id);
  return claim;
}

UniqueFd open_null() {
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) throw sys_error("open /dev/null");
  return null;
}

UniqueFd self_pidfd() {
  UniqueFd self(raw_pidfd_open(::getpid()));
  if (!self) throw sys_error("open a pidfd of this process");
  return self;
}

UniqueFd owner_fd(const std::optional<ProcessKey>& owner) {
  if (!owner) return open_null();
  if (owner->pid == ::getpid() && *owner == this_process()) return self_pidfd();
  auto pidfd = open_pidfd(*owner);
  if (!pidfd) throw not_found(Kind::kContainer, "the process that owned the container is gone");
  return std::move(*pidfd);
}

std::vector<std::string> shim_environment() {
  std::vector<std::string> env;
  const char* path = std::getenv("PATH");
  env.push_back(std::string("PATH=") +
                (path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
  if (const char* level = std::getenv("CTRD_LOG")) env.push_back(std::string("CTRD_LOG=") + level);
  return env;
}

}  // namespace

Launch::Launch(Core& core, const std::string& ns, const std::string& id, const Stdio& stdio)
    : core_(core), stdio_(stdio), instance_(random_hex(8)) {
  check_stdio(stdio);
  claim_ = claim_new(core, ns, id);
  try {
    if (has_pipes(stdio)) io_ = make_dir_at(dir(), api::kIoDir, 0700);
    streams_ = make_streams(io_.get(), stdio);
  } catch (...) {
    roll_back();
    throw;
  }
}

Launch::~Launch() {
  if (claim_) roll_back();
}

void Launch::configure(const std::string& spec, const Wait& wait) {
  facts_ = oci::spec_facts(spec);
  status_.instance = instance_;  // its status is kUnknown: it is being made
  status_.boot_id = boot_id();
  status_.cgroups_path = facts_.cgroups_path;
  status_.log_dir = core_.log_path(instance_);
  if (child_) set_shim(shim());
  write_status();
  create_file_at(dir(), api::kConfigFile, oci::make_config(spec, is_cgroup_v2(), core_.config.shim),
                 0600);
  create_file_at(dir(), kSpecFile, spec, 0600);
  if (!status_.other_shim.empty()) start_other(wait);
}

void Launch::set_shim(const ProcessKey& key) {
  status_.shim_pid = static_cast<uint32_t>(key.pid);
  status_.shim_start = key.start;
}

// Whole from the first moment: others read it.
void Launch::write_status() const {
  replace_file_at(dir(), api::kStatusFile, api::encode_file(status_), 0600, false);
}

void Launch::start_other(const Wait& wait) {
  make_dir_at(dir(), api::kRootfsDir, 0711);
  OtherShim shim{status_.other_shim, claim_->ns, claim_->id, dir()};
  set_shim(start_other_shim(shim, other_options_, wait));
  write_status();
}

void Launch::spawn(const metadata::Container& record, const std::optional<ProcessKey>& owner) {
  if (is_other_shim(record.runtime_name)) {
    status_.other_shim = find_other_shim(record.runtime_name);
    status_.runtime = record.runtime_binary;
    status_.detached = !owner;
    other_options_ = other_options(record, path());
    return;
  }
  LockFd socket = make_socket(dir());
  UniqueFd log = open_at(dir(), api::kShimLogFile, O_WRONLY | O_CREAT | O_APPEND, 0600);
  UniqueFd owned = owner_fd(owner);
  UniqueFd self = self_pidfd();
  SpawnSpec spec;
  spec.argv = {core_.config.shim, "-namespace", claim_->ns, "-id",
               claim_->id,        "-bundle",    path(),     "serve"};
  spec.env = shim_environment();
  spec.cwd_dir = dir();
  spec.fds = {{log.get(), 1},
              {log.get(), 2},
              {socket.get(), api::kListenFd},
              {owned.get(), api::kOwnerFd},
              {dir(), api::kClaimFd},
              {self.get(), api::kSpawnerFd}};
  spec.new_session = true;
  child_ = ctrd::spawn(spec);
}

api::Options Launch::options(const metadata::Container& record, int64_t timeout_ns) const {
  api::Options options;
  options.binary_name = record.runtime_binary;
  options.journal_dir = core_.root.path + "/journal";
  options.log_dir = core_.log_path(instance_);
  options.log_max = core_.config.log_max;
  options.lifetime = record.lifetime == metadata::Lifetime::kDetached ? api::Lifetime::kDetached
                                                                      : api::Lifetime::kOwner;
  options.on_exit =
      record.on_exit == metadata::OnExit::kDelete ? api::OnExit::kDelete : api::OnExit::kKeep;
  options.timeout_ns = timeout_ns;
  options.instance = instance_;
  options.cgroups_path = facts_.cgroups_path;
  if (auto wanted = runc_options(record.runtime_options)) {
    options.no_pivot_root = wanted->no_pivot_root;
    options.no_new_keyring = wanted->no_new_keyring;
    options.io_uid = wanted->io_uid;
    options.io_gid = wanted->io_gid;
  }
  return options;
}

ttrpc::Call Launch::create(const metadata::Container& record, int64_t timeout_ns,
                           const Wait& wait) {
  forget_exit(core_, claim_->ns, claim_->id);
  api::CreateRequest request;
  request.id = claim_->id;
  request.bundle = path();
  request.rootfs = task_mounts(core_, claim_->ns, record, wait);
  bool goes_with_it = volatile_ && record.snapshot_key == record.id;
  if (goes_with_it && request.rootfs.front().type == "overlay")
    request.rootfs.front().options.push_back("volatile");
  request.terminal = facts_.terminal;
  if (facts_.terminal) keep_stdin();
  StdioPaths stdio = stdio_paths();
  request.stdin_path = stdio.in;
  request.stdout_path = stdio.out;
  request.stderr_path = stdio.err;
  request.options = {std::string(api::kOptionsType), api::encode(options(record, timeout_ns))};
  if (from_ != nullptr) restore_from(*from_, record.snapshot_number, &request);
  if (!status_.other_shim.empty()) request.options = other_options_;
  created_ = {.container_id = request.id,
              .bundle = request.bundle,
              .rootfs = request.rootfs,
              .io = {stdio.in, stdio.out, stdio.err, facts_.terminal},
              .checkpoint = request.checkpoint,
              .pid = 0};
  return begin_call(dir(), api::kTaskV2, "Create", api::encode(request), wait);
}

void Launch::restore_from(const Restoration& from, uint64_t layer,
                          api::CreateRequest* request) const {
  mount_restored_layer(instance_, layer, &request->rootfs);
  api::CriuOptions more{.close_tcp = from.close_tcp,
                        .hostname = facts_.hostname,
                        .skip_network_lock = from.skip_network_lock,
                        .layer = restored_layer_path(core_, instance_),
                        .replaced = layer_path(core_, layer),
                        .empty_namespaces = from.empty_namespaces};
  request->checkpoint = from.images;
  request->options.value += api::encode(more);
}

StdioPaths Launch::stdio_paths() const {
  std::string io = path() + "/" + api::kIoDir;
  StdioPaths paths{stdin_path(io, stdio_), output_path(io, stdio_, 1),
                   facts_.terminal ? "" : output_path(io, stdio_, 2)};
  return status_.other_shim.empty() ? paths : contract_paths(std::move(paths), facts_.terminal);
}

Task Launch::task() const {
  return {open_dir_at(dir(), "."), claim_->ns, claim_->id, status_, std::nullopt};
}

int Launch::created(ttrpc::Call& call, Streams* streams) {
  uint32_t answer = 0;
  try {
    answer = api::decode<api::CreateResponse>(call.result()).pid;
  } catch (const Error& error) {
    throw refused(task(), {api::kTaskV2, "Create", ""}, error);
  }
  if (!status_.other_shim.empty())
    note_created(core_, dir(), &status_, answer, created_, claim_->ns);
  int pid = static_cast<int>(answer);
  open_stdin(io_.get(), &streams->in);
  kept_ = {};
  await_reader(task(), "", streams->in.get());
  if (facts_.terminal) streams->err.reset();  // a tty is one stream
  return pid;
}

// A tty has a stdin for whoever attaches, though we write nothing to it.
void Launch::keep_stdin() {
  if (stdio_.in != Std::kDevnull) return;
  if (!io_) io_ = make_dir_at(dir(), api::kIoDir, 0700);
  make_stdin(io_.get(), &kept_);
  stdio_.in = Std::kPipe;
}

void Launch::explain(const Error& error) const {
  bool is_program =
      error.find("field") == "args" && error.find("value").empty() && error.find("path").empty();
  if (is_program && !facts_.args.empty()) {  // crun 1.8 does not say which
    Error named(error.code(), "\"" + facts_.args[0] + "\": " + error.message(), error.kind());
    for (const auto& [key, value] : error.context()) named.with(key, value);
    named.with("value", escaped(facts_.args[0], 64));
    throw Error(std::move(named));
  }
  if (error.code() != Code::kUnavailable || error.kind() != Kind::kNone) return;
  std::string words = find_file_at(dir(), api::kShimLogFile, 1u << 20).value_or("");
  if (words.size() > 512) words.erase(0, words.size() - 512);
  throw Error(Code::kUnavailable, "the shim of container \"" + claim_->id +
                                      "\" has ended: " + error.message() +
                                      (words.empty() ? "" : "; it said: " + words));
}

void Launch::commit() {
  reap_children();  // those whose containers others have removed
  if (child_) adopt_shim();
  claim_.reset();
}

ProcessKey Launch::shim() const {
  return {child_->pid, start_time(child_->pid).value_or(0), boot_id()};
}

void Launch::adopt_shim() {
  adopt_child(std::move(*child_));
  child_.reset();
}

// The shim cleans up itself if it can. The call may have been interrupted, so there is no time.
void Launch::end_child() {
  if (!status_.other_shim.empty() && status_.shim_pid != 0) end_shim_soon(shim_of(status_));
  if (!child_) return;
  ProcessKey key = shim();
  adopt_shim();
  end_shim_soon(key);
}

void Launch::roll_back() {
  try {
    Claim claim = std::move(*claim_);
    claim_.reset();
    end_child();
    streams_ = {};
    settle_claimed(claim);
    discard(core_, std::move(claim));
    if (from_ != nullptr) remove_restored_layer(core_, instance_);  // the shim took its status away
  } catch (const std::exception& error) {
    log(Level::kError, std::string("a task could not be rolled back: ") + error.what());
  }
}

}  // namespace ctrd::engine
