// SPDX-License-Identifier: Apache-2.0
// The other process: its two ends.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "base/files.h"
#include "engine/fixture.h"
#include "engine/snapshot_mount.h"
#include "engine/snapshots.h"

namespace ctrd::engine {
namespace {

std::pair<UniqueFd, UniqueFd> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) < 0) throw sys_error("make a pipe");
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void say(const std::string& line) { std::cout << line << std::endl; }

CreateOptions options_of(const std::string& rootfs, const std::string& id, bool detached) {
  CreateOptions options;
  options.id = id;
  options.rootfs = rootfs;
  options.detached = detached;
  options.spec.args = {"/bin/sleep", "1000"};
  return options;
}

// Makes and starts a container, says so, and waits for the end of its stdin without closing
// anything.
void own(Engine& engine, const std::string& rootfs, bool detached) {
  engine.create(kNs, options_of(rootfs, "c", detached), soon());
  engine.create_task(kNs, "c", {}, false, soon());
  engine.start_task({kNs, "c", ""}, soon());
  say("started");
  std::string line;
  while (std::getline(std::cin, line)) {
  }
}

// A record only.
void own_record(Engine& engine, const std::string& rootfs) {
  engine.create(kNs, options_of(rootfs, "c", false), soon());
  say("created");
  std::string line;
  while (std::getline(std::cin, line)) {
  }
}

// Says so once its call is parked in the shim: the question is asked every 50 ms from then on.
void wait_for(Engine& engine) {
  engine.status(kNs, "c", soon());
  Wait wait = soon();
  int asked = 0;
  wait.interrupted = [&] {
    if (++asked == 3) say("waiting");
  };
  say(std::to_string(engine.wait_task({kNs, "c", ""}, wait).status));
}

void start(Engine& engine) {
  engine.create_task(kNs, "c", {}, false, soon());
  engine.start_task({kNs, "c", ""}, soon());
  say("started");
}

// The snapshot "work" of that snapshotter, with a file in it; until the end of its stdin.
void mount(Engine& engine, const std::string& snapshotter) {
  auto mounted = engine.snapshots(soon()).mount({kNs, "work", snapshotter}, std::nullopt, soon());
  create_file_at(open_dir(mounted->path()).get(), "file", "other's", 0644);
  say(mounted->path());
  std::string line;
  while (std::getline(std::cin, line)) {
  }
}

void list(Engine& engine) {
  for (const auto& info : engine.list(kNs, {}, soon()))
    say(info.id + " " + std::to_string(static_cast<int>(info.status)));
  say("end");
}

}  // namespace

int helper_main(int, char** argv) {
  std::string mode = argv[2];
  Config config;
  config.root = argv[3];
  config.state = argv[4];
  config.shim = shim_binary();
  auto engine = Engine::open(config);
  if (mode == "own") own(*engine, argv[5], false);
  if (mode == "own_detached") own(*engine, argv[5], true);
  if (mode == "own_record") own_record(*engine, argv[5]);
  if (mode == "wait") wait_for(*engine);
  if (mode == "start") start(*engine);
  if (mode == "list") list(*engine);
  if (mode == "mount") mount(*engine, argv[6]);
  if (mode == "kill") engine->kill_task({kNs, "c", ""}, SIGKILL, std::nullopt, false, soon());
  if (mode == "remove") engine->remove(kNs, "c", true, false, soon());
  return 0;
}

Second::Second(const std::string& mode, const std::vector<std::string>& args) {
  auto [child_in, in] = make_pipe();
  auto [out, child_out] = make_pipe();
  SpawnSpec spec;
  spec.argv = {"/proc/self/exe", "--helper", mode};
  spec.argv.insert(spec.argv.end(), args.begin(), args.end());
  spec.argv[0] = real_path("/proc/self/exe");
  const char* path = std::getenv("PATH");
  spec.env = {std::string("PATH=") + (path ? path : "/usr/sbin:/usr/bin"),
              "CTRD_SHIM=" + shim_binary()};
  spec.fds = {{child_in.get(), 0}, {child_out.get(), 1}, {2, 2}};
  child_ = spawn(spec);
  in_ = std::move(in);
  out_ = std::move(out);
}

Second::~Second() {
  if (!reaped_) kill();
}

std::string Second::line() {
  std::string text;
  char c = 0;
  while (::read(out_.get(), &c, 1) == 1 && c != '\n') text += c;
  return text;
}

void Second::say(const std::string& text) { write_all(in_.get(), text); }

void Second::kill() {
  ::kill(child_.pid, SIGKILL);
  reap(child_, soon());
  reaped_ = true;
}

Exit Second::wait() {
  in_.reset();
  auto exit = reap(child_, soon());
  reaped_ = true;
  return exit.value_or(Exit{255, 0});
}

}  // namespace ctrd::engine
