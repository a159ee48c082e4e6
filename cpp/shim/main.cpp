// SPDX-License-Identifier: Apache-2.0
// containerd-shim-ctrd-v2: the actions serve and probe-overlay, -v, and inside containers `init --
// args`.
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "shim/arguments.h"
#include "shim/init.h"
#include "shim/overlay_probe.h"
#include "shim/serve.h"

namespace {

using ctrd::shim::Arguments;

void say(int fd, std::string line) {
  line += '\n';
  if (::write(fd, line.data(), line.size()) < 0) return;  // there is nobody else to tell
}

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

int run(const Arguments& arguments) {
  if (arguments.has("v") || arguments.has("version")) {
    say(STDOUT_FILENO, "containerd-shim-ctrd-v2 " CTRD_VERSION);
    return 0;
  }
  if (arguments.action == "serve") ctrd::shim::serve(arguments);
  if (arguments.action == "probe-overlay") return probe(arguments);
  say(STDERR_FILENO,
      "unknown action \"" + arguments.action + "\": expected serve or probe-overlay");
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 3 && std::string_view(argv[1]) == "init") return ctrd::shim::run_init(argv + 3);
  ctrd::set_log_sink(log_to_stderr);
  if (const char* level = std::getenv("CTRD_LOG")) set_level(level);
  try {
    return run(ctrd::shim::parse_arguments(std::vector<std::string>(argv + 1, argv + argc)));
  } catch (const std::exception& error) {
    say(STDERR_FILENO, std::string("containerd-shim-ctrd-v2: ") + error.what());
    return 1;
  }
}
