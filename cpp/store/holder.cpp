// SPDX-License-Identifier: Apache-2.0
#include "store/holder.h"

#include <time.h>
#include <unistd.h>

#include <charconv>

#include "base/process.h"
#include "base/time.h"

namespace ctrd::store {
namespace {

constexpr std::size_t kMaxCommand = 128;
constexpr std::size_t kMaxLine = 512;

std::string command_line(pid_t pid) {
  std::string text;
  auto facts = process_facts(pid);
  if (!facts) return text;
  for (const std::string& arg : facts->args) text.append(text.empty() ? "" : " ").append(arg);
  return escaped(text, kMaxCommand);
}

std::string_view next_field(std::string_view& text) {
  std::size_t end = std::min(text.find(' '), text.size());
  std::string_view field = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return field;
}

template <typename Number>
void parse(std::string_view text, Number& value) {
  std::from_chars(text.data(), text.data() + text.size(), value);
}

std::string utc(int64_t wall) {
  time_t seconds = static_cast<time_t>(wall / 1'000'000'000);
  tm parts{};
  char text[32];
  ::gmtime_r(&seconds, &parts);
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

}  // namespace

std::string encode(const Holder& holder) {
  return std::string(1, holder.marker) + ' ' + holder.boot + ' ' + std::to_string(holder.pid) +
         ' ' + std::to_string(holder.since_ns) + ' ' + holder.command + '\n';
}

Holder decode_holder(std::string_view text) {
  Holder holder;
  text = text.substr(0, text.find('\n'));
  std::string_view marker = next_field(text);
  if (marker.size() == 1) holder.marker = marker[0];
  holder.boot = next_field(text);
  parse(next_field(text), holder.pid);
  parse(next_field(text), holder.since_ns);
  holder.command = escaped(text, kMaxCommand);
  return holder;
}

Holder this_holder() {
  static const std::string command = command_line(::getpid());  // a forked child's is the same
  return {kDirty, boot_id(), ::getpid(), wall_ns(), command};
}

Holder read_holder(int fd) {
  char text[kMaxLine];
  ssize_t size = ::pread(fd, text, sizeof text, 0);
  if (size < 0) throw sys_error("read the lock file of the store");
  return decode_holder({text, static_cast<std::size_t>(size)});
}

void write_holder(int fd, const Holder& holder) {
  std::string line = encode(holder);
  ssize_t size = ::pwrite(fd, line.data(), line.size(), 0);
  if (size < 0) throw sys_error("write the lock file of the store");
}

void name_holder(int fd) {
  std::string line = encode(this_holder());
  ssize_t size = ::pwrite(fd, line.data(), line.size(), 0);
  static_cast<void>(size);
}

void write_marker(int fd, char marker) {
  ssize_t size = ::pwrite(fd, &marker, 1, 0);
  static_cast<void>(size);
}

Error root_busy(const std::string& path, const Holder& holder) {
  std::string since = utc(holder.since_ns);
  return Error(Code::kUnavailable,
               "open the metadata in " + path + ": busy: held by process " +
                   std::to_string(holder.pid) + " (" + holder.command + ") since " + since,
               Kind::kRoot)
      .with("path", path)
      .with("holder_pid", std::to_string(holder.pid))
      .with("holder_cmd", holder.command)
      .with("since", since);
}

}  // namespace ctrd::store
