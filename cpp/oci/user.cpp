// SPDX-License-Identifier: Apache-2.0
#include "oci/user.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/files.h"

namespace ctrd::oci {
namespace {

constexpr std::size_t kMaxFile = 1u << 20;
constexpr uint64_t kMaxId = 0x7fffffff;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t from = 0;;) {
    std::size_t to = text.find(separator, from);
    parts.push_back(text.substr(from, to - from));
    if (to == std::string_view::npos) return parts;
    from = to + 1;
  }
}

bool is_number(std::string_view text) {
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !text.empty() && std::all_of(text.begin(), text.end(), digit);
}

uint32_t id_number(std::string_view text) {
  uint64_t value = 0;
  auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (err != std::errc() || end != text.data() + text.size() || value > kMaxId) {
    throw invalid("user", text, "a user or group number must be 0 to 2147483647");
  }
  return static_cast<uint32_t>(value);
}

void check_name(std::string_view name, std::string_view user) {
  auto bad = [](unsigned char c) { return c <= ' ' || c == 0x7f || c == '/'; };
  bool plain = !name.empty() && name.front() != '-' && name.front() != '+' &&
               std::none_of(name.begin(), name.end(), bad);
  if (!plain) throw invalid("user", user, "must be a number or a name, with \":group\" or without");
}

// etc/passwd or etc/group as the container sees it; "" if there is none.
std::string read_database(int root_dir, const std::string& name) {
  if (root_dir < 0) return "";
  try {
    UniqueFd file = open_in_root(root_dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    return read_file(file.get(), kMaxFile);
  } catch (const Error& error) {
    if (error.code() == Code::kNotFound) return "";
    throw Error(error.code(), "user: /" + name + " of the root file system: " + error.message(),
                error.kind(), error.sys_errno())
        .with("field", "user");
  }
}

using Fields = std::vector<std::string_view>;

// The first line with at least `least` fields that `fits`.
std::optional<Fields> find_line(const std::string& text, std::size_t least,
                                const std::function<bool(const Fields&)>& fits) {
  for (std::string_view line : split(text, '\n')) {
    Fields fields = split(line, ':');
    if (fields.size() >= least && fits(fields)) return fields;
  }
  return std::nullopt;
}

bool same_id(std::string_view field, uint32_t id) {
  uint64_t value = 0;
  auto [end, err] = std::from_chars(field.data(), field.data() + field.size(), value);
  return err == std::errc() && end == field.data() + field.size() && value == id;
}

Error unknown(std::string_view what, std::string_view name) {
  return not_found(Kind::kNone, "user: the root file system has no " + std::string(what) + " \"" +
                                    std::string(name) + "\"")
      .with("field", "user")
      .with("value", std::string(name));
}

std::vector<uint32_t> groups_of(const std::string& groups, std::string_view name) {
  std::vector<uint32_t> gids;
  for (std::string_view line : split(groups, '\n')) {
    Fields fields = split(line, ':');
    if (fields.size() < 4 || !is_number(fields[2])) continue;
    auto members = split(fields[3], ',');
    if (std::find(members.begin(), members.end(), name) != members.end()) {
      gids.push_back(id_number(fields[2]));
    }
  }
  return gids;
}

uint32_t group_id(std::string_view group, int root_dir) {
  if (is_number(group)) return id_number(group);
  std::string text = read_database(root_dir, "etc/group");
  auto line = find_line(text, 3, [&](const Fields& f) { return f[0] == group; });
  if (!line) throw unknown("group", group);
  return id_number((*line)[2]);
}

struct Account {
  std::string name;  // "" : no line, a number only
  User user;
};

Account account_of(std::string_view who, int root_dir) {
  std::string text = read_database(root_dir, "etc/passwd");
  bool number = is_number(who);
  uint32_t uid = number ? id_number(who) : 0;
  auto line = find_line(text, 4,
                        [&](const Fields& f) { return number ? same_id(f[2], uid) : f[0] == who; });
  if (!line && !number) throw unknown("user", who);
  Account account;
  account.user.uid = uid;
  if (!line) return account;
  account.name = (*line)[0];
  account.user.uid = id_number((*line)[2]);
  account.user.gid = id_number((*line)[3]);
  if (line->size() > 5 && (*line)[5].starts_with('/')) account.user.home = (*line)[5];
  return account;
}

}  // namespace

User resolve_user(std::string_view user, int root_dir) {
  auto parts = split(user, ':');
  if (parts.size() > 2) throw invalid("user", user, "has more than one colon");
  for (std::string_view part : parts) check_name(part, user);
  Account account = account_of(parts[0], root_dir);
  if (parts.size() == 2) {
    account.user.gid = group_id(parts[1], root_dir);
  } else if (!account.name.empty()) {
    account.user.additional_gids = groups_of(read_database(root_dir, "etc/group"), account.name);
  }
  return account.user;
}

}  // namespace ctrd::oci
