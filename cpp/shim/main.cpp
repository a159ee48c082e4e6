// SPDX-License-Identifier: Apache-2.0
// containerd-shim-ctrd-v2: the actions start and delete, -v and -info, as containerd gives them;
// serve and probe-overlay, as we do; and inside containers `init -- args`.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "shim/arguments.h"
#include "shim/cleanup.h"
#include "shim/info.h"
#include "shim/init.h"
#include "shim/overlay_probe.h"
#include "shim/serve.h"
#include "shim/start.h"
#include "shim/stdin.h"

namespace {

using ctrd::shim::Arguments;

void put(int fd, const std::string& text) {
  if (::write(fd, text.data(), text.size()) < 0) return;  // there is nobody else to tell
}

void say(int fd, const std::string& line) { put(fd, line + '\n'); }

void log_to_stderr(ctrd::Level /*level*/, std::string_view message) {
  say(STDERR_FILENO, std::string(message));
}

// CTRD_LOG is what the shim says in shim.log: debug, info, warning (as without it) or error.
void set_level(std::string_view name) {
  using ctrd::Level;
  for (auto [word, level] :
       {std::pair{"debug", Level::kDebug}, {"info", Level::kInfo}, {"error", Level::kError}})
    if (name == word) ctrd::set_log_level(level);
}

int probe(const Arguments& arguments) {
  std::string reason = ctrd::shim::probe_overlay(arguments.get("dir"));
  say(STDOUT_FILENO, reason.empty() ? "ok" : reason);
  return reason.empty() ? 0 : 1;
}

// What containerd asks for: it reads the answer from stdout, and for `start` whatever is said on
// stderr with it. It leaks descriptors into us.
int answer(const Arguments& arguments) {
  ::close_range(STDERR_FILENO + 1, ~0U, 0);
  std::signal(SIGCHLD, SIG_DFL);  // an ignored one would take a runtime's status
  if (arguments.action == "start") {
    ctrd::set_log_sink(nullptr);
    put(STDOUT_FILENO, ctrd::shim::start_shim(arguments));
  } else if (arguments.action == "delete") {
    put(STDOUT_FILENO, ctrd::shim::delete_shim(arguments));
  } else {
    put(STDOUT_FILENO, ctrd::shim::runtime_info(ctrd::shim::read_stdin()));
  }
  return 0;
}

int run(const Arguments& arguments) {
  if (arguments.has("v") || arguments.has("version")) {
    say(STDOUT_FILENO, "containerd-shim-ctrd-v2 " CTRD_VERSION);
    return 0;
  }
  bool is_containerds = arguments.action == "start" || arguments.action == "delete";
  if (is_containerds || arguments.has("info")) return answer(arguments);
  if (arguments.action == "serve") ctrd::shim::serve(arguments);
  if (arguments.action == "probe-overlay") return probe(arguments);
  say(STDERR_FILENO, "unknown action \"" + arguments.action +
                         "\": expected start, delete, serve or probe-overlay");
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 3 && std::string_view(argv[1]) == "init") return ctrd::shim::run_init(argv + 3);
  ctrd::set_log_sink(log_to_stderr);
  if (const char* level = std::getenv("CTRD_LOG")) set_level(level);
  try {
    Arguments arguments =
        ctrd::shim::parse_arguments(std::vector<std::string>(argv + 1, argv + argc));
    if (arguments.has("debug")) ctrd::set_log_level(ctrd::Level::kDebug);
    return run(arguments);
  } catch (const std::exception& error) {
    say(STDERR_FILENO, std::string("containerd-shim-ctrd-v2: ") + error.what());
    return 1;
  }
}
