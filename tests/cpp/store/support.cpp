// SPDX-License-Identifier: Apache-2.0
#include "store/support.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>

namespace ctrd::store {
namespace {

std::map<std::string, HelperMain>& helpers() {
  static std::map<std::string, HelperMain> all;
  return all;
}

std::vector<std::string> environment() {
  std::vector<std::string> all;
  for (char** entry = environ; *entry; ++entry) all.emplace_back(*entry);
  return all;
}

std::pair<UniqueFd, UniqueFd> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) throw sys_error("make a pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

std::shared_ptr<Store> open_store(const std::string& path, const StoreConfig& config) {
  return Store::at(open_dir(path), config);
}

void put(Store& store, const std::string& key, const std::string& value) {
  store.write({}, [&](const View&, Batch& batch) { batch.put(key, value); });
}

std::optional<std::string> get(Store& store, const std::string& key) {
  std::optional<std::string> value;
  store.read({}, [&](const View& view) { value = view.find(key); });
  return value;
}

std::map<std::string, std::string> contents(Store& store) {
  std::map<std::string, std::string> all;
  store.read({}, [&](const View& view) {
    view.scan("", "\xff", [&](std::string_view key, std::string_view value) {
      all.emplace(key, value);
      return true;
    });
  });
  return all;
}

bool comes_true(const std::function<bool()>& condition) {
  TimePoint end = after(std::chrono::seconds(30));
  while (!condition()) {
    if (Clock::now() > end) return false;
    ::usleep(1000);
  }
  return true;
}

std::vector<std::string> descriptors_below(const std::string& path, const std::string& process) {
  std::vector<std::string> found;
  std::string dir = "/proc/" + process + "/fd/";
  for (const auto& name : list_dir(open_dir(dir).get())) {
    char target[4096];
    ssize_t size = ::readlink((dir + name).c_str(), target, sizeof target);
    if (size > 0 && std::string_view(target, static_cast<std::size_t>(size)).starts_with(path))
      found.push_back(name);
  }
  return found;
}

double elapsed_ms(TimePoint begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

Helper::Helper(std::vector<std::string> args) {
  auto [read_in, write_in] = make_pipe();
  auto [read_out, write_out] = make_pipe();
  SpawnSpec spec;
  spec.argv = {real_path("/proc/self/exe"), "--helper"};
  spec.argv.insert(spec.argv.end(), args.begin(), args.end());
  spec.env = environment();
  spec.fds = {{read_in.get(), 0}, {write_out.get(), 1}, {2, 2}};
  child_ = spawn(spec);
  input_ = std::move(write_in);
  output_ = std::move(read_out);
}

Helper::~Helper() {
  if (!reaped_) kill();
}

void Helper::say(const std::string& text) { write_all(input_.get(), text); }

std::string Helper::line() {
  std::string text;
  for (char c = 0; ::read(output_.get(), &c, 1) == 1 && c != '\n';) text += c;
  return text;
}

std::string Helper::rest() {
  std::string text;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::read(output_.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(size));
  return text;
}

void Helper::kill() {
  ::kill(child_.pid, SIGKILL);
  wait();
}

int Helper::wait() {
  input_.reset();
  reaped_ = true;
  return reap(child_, {})->status;
}

HelperName::HelperName(const char* name, HelperMain main) { helpers()[name] = main; }

int run_helper(const std::vector<std::string>& args) {
  try {
    return helpers().at(args.at(0))({args.begin() + 1, args.end()});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "helper %s: %s\n", args.at(0).c_str(), error.what());
    return 1;
  }
}

}  // namespace ctrd::store
