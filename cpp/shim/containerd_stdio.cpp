// SPDX-License-Identifier: Apache-2.0
#include "shim/containerd_stdio.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/make_path.h"

namespace ctrd::shim {
namespace {

constexpr mode_t kDirMode = 0755;
constexpr mode_t kFileMode = 0644;

struct Uri {
  std::string scheme, path;  // scheme: "" for a plain path
};

Uri parse(const std::string& text) {
  std::size_t at = text.find("://");
  if (at == text.npos) return {.scheme = "", .path = text};
  return {.scheme = text.substr(0, at), .path = text.substr(at + 3)};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// A part of a URI. Throws invalid for "%" without two digits, and for a NUL.
std::string decoded(const std::string& path) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out += path[i];
      continue;
    }
    int high = i + 2 < path.size() ? hex_digit(path[i + 1]) : -1;
    int low = high < 0 ? -1 : hex_digit(path[i + 2]);
    if (low < 0 || (high == 0 && low == 0))
      throw invalid("stdout", path, "a % must be followed by the two digits of a byte");
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string decoded_word(std::string word) {
  std::ranges::replace(word, '+', ' ');
  return decoded(word);
}

// Each key and its first value, as arguments: in their order.
std::vector<std::string> arguments_of(std::string_view query) {
  std::vector<std::string> arguments;
  std::set<std::string> seen;
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    std::size_t equal = std::min(pair.find('='), pair.size());
    std::string key = decoded_word(std::string(pair.substr(0, equal)));
    if (pair.empty() || !seen.insert(key).second) continue;
    pair.remove_prefix(std::min(pair.size(), equal + 1));
    arguments.insert(arguments.end(), {std::move(key), decoded_word(std::string(pair))});
  }
  return arguments;
}

LogProgram log_program(const Uri& uri) {
  std::size_t end = std::min(uri.path.find('?'), uri.path.size());
  std::string query = uri.path.substr(std::min(uri.path.size(), end + 1));
  std::string path = decoded(uri.path.substr(0, end));
  if (!path.starts_with('/')) throw invalid("stdout", path, "not the absolute path of a program");
  LogProgram program{.argv = {std::move(path)}, .must_say = uri.scheme == "binary-v2"};
  std::ranges::move(arguments_of(query), std::back_inserter(program.argv));
  return program;
}

std::string our_file(const std::string& path) { return std::string(api::kFilePath) + path; }

std::string log_file(const std::string& path) {
  if (!path.starts_with('/')) throw invalid("stdout", path, "not the absolute path of a file");
  if (path.rfind('/') > 0) make_path(path.substr(0, path.rfind('/')), kDirMode, kDirMode);
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, kFileMode));
  if (!file) throw sys_error("stdout: opening " + path);
  return our_file(path);
}

// Anything else than a FIFO is written to as it is.
std::string fifo_or_file(const std::string& path) {
  struct stat facts {};
  bool is_file = ::stat(path.c_str(), &facts) == 0 && !S_ISFIFO(facts.st_mode);
  return is_file ? our_file(path) : path;
}

}  // namespace

StdioPaths containerd_stdio(StdioPaths paths) {
  Uri out = parse(paths.out);
  if (out.scheme == "file") {
    paths.out = log_file(decoded(out.path.substr(0, out.path.find('?'))));
    paths.err = api::kMergePath;
  } else if (out.scheme == "binary" || out.scheme == "binary-v2") {
    paths.program = log_program(out);
    paths.err = paths.out;
  } else if (!out.scheme.empty() && out.scheme != "fifo") {
    throw invalid("stdout", paths.out, "unknown STDIO scheme " + out.scheme);
  } else {
    paths.out = fifo_or_file(out.path);
    paths.err = fifo_or_file(parse(paths.err).path);
  }
  paths.in = fifo_or_file(parse(paths.in).path);
  return paths;
}

}  // namespace ctrd::shim
