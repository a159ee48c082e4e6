// SPDX-License-Identifier: Apache-2.0
#include "engine/doctor_criu.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/spawn.h"
#include "base/text.h"
#include "engine/probe_cache.h"
#include "oci/criu_log.h"

namespace ctrd::engine {
namespace {

constexpr std::pair<int, int> kCriuAsksFamilies{4, 2};
constexpr Nanos kLimit = std::chrono::seconds(20);

Output run(std::vector<std::string> argv, const Wait& wait) {
  const char* path = std::getenv("PATH");
  SpawnSpec spec;
  spec.argv = std::move(argv);
  spec.env = {std::string("PATH=") + (path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path)};
  spec.new_session = true;
  return run_command(spec, "", wait.within(kLimit), 64u << 10);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Its last words, which are why.
std::string why(const Output& output) {
  std::string error = oci::first_criu_error(output.out + output.err);
  if (!error.empty()) return error;
  std::string all = output.out + output.err;
  while (!all.empty() && all.back() == '\n') all.pop_back();
  return all.substr(all.rfind('\n') + 1);
}

}  // namespace

// "Version: 4.1.1"; {0, 0} for other words.
std::pair<int, int> version_of(std::string_view words) {
  constexpr std::string_view kBefore = "Version: ";
  if (!words.starts_with(kBefore)) return {0, 0};
  words.remove_prefix(kBefore.size());
  std::size_t dot = words.find('.');
  if (dot == words.npos) return {0, 0};
  std::string_view rest = words.substr(dot + 1);
  auto major = to_number(words.substr(0, dot));
  auto minor = to_number(rest.substr(0, rest.find_first_not_of("0123456789")));
  if (!major || !minor) return {0, 0};
  return {static_cast<int>(*major), static_cast<int>(*minor)};
}

bool refuses_network_sockets(std::pair<int, int> version) {
  if (version >= kCriuAsksFamilies) return false;
  UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  int value = 0;
  socklen_t size = sizeof(value);
  return socket && ::getsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &value, &size) < 0 &&
         errno == EOPNOTSUPP;
}

bool has_iptables() { return find_program("iptables-restore").has_value(); }

namespace {

// It works, but not for everything.
void add_limits(std::pair<int, int> version, Check* check) {
  auto add = [&](const char* found, const std::string& hint) {
    check->found += std::string(", ") + found;
    check->hint += (check->hint.empty() ? "" : "; ") + hint;
  };
  if (refuses_network_sockets(version))
    add("cannot dump network sockets on this kernel", "a CRIU of 4.2 or newer can");
  if (!has_iptables())
    add("no iptables",
        std::string("install iptables: ") +
            (version < kCriuSkipsNetworkLock ? "this CRIU needs it" : "tcp=\"keep\" needs it"));
}

}  // namespace

Check criu_check(const Wait& wait) {
  auto binary = find_program("criu");
  if (!binary) return {"criu", false, false, "not on PATH", "install criu, to make checkpoints"};
  Output version = run({*binary, "--version"}, wait);
  Output checked = run({*binary, "check"}, wait);
  std::string found = *binary + ", " + escaped(first_line(version.out), 100);
  if (checked.exit.status == 0) {
    Check check{"criu", true, false, found, ""};
    add_limits(version_of(first_line(version.out)), &check);
    return check;
  }
  return {"criu", false, false, found + ": " + escaped(why(checked), 200),
          "checkpoints need root and a CRIU that is new enough for this kernel"};
}

std::pair<int, int> criu_version(Core& core, const Wait& wait) {
  auto binary = find_program("criu");
  if (!binary) return {0, 0};
  oci::Probe probe = core.probes.get(
      core.root.state.get(), "criu " + *binary, fingerprint({*binary}),
      [&] {
        Output output = run({*binary, "--version"}, wait);
        return oci::Probe{output.exit.status == 0, *binary, first_line(output.out), ""};
      },
      wait);
  return version_of(probe.version);
}

// runc always is; crun says so.
bool makes_checkpoints(const std::string& runtime, const Wait& wait) {
  std::string words = run({runtime, "--version"}, wait).out;
  return !words.starts_with("crun") || words.find("+CRIU") != std::string::npos;
}

bool empties_namespaces(const std::string& runtime, const Wait& wait) {
  return run({runtime, "--version"}, wait).out.starts_with("runc");
}

void need_criu(Core& core, const std::string& runtime, const Wait& wait) {
  bool is_there = criu_version(core, wait) != std::pair{0, 0};
  if (is_there && makes_checkpoints(runtime, wait)) return;
  throw Error(
      Code::kUnimplemented,
      is_there ? "runtime " + escaped(runtime) + " is built without CRIU" : "this host has no CRIU",
      Kind::kCheckpoint)
      .with("hint", is_there ? "a runtime that is built with it" : "install criu");
}

}  // namespace ctrd::engine
