// SPDX-License-Identifier: Apache-2.0
#include "metadata/references.h"

#include <array>
#include <charconv>
#include <chrono>

#include "base/digest.h"
#include "base/error.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

struct Row {
  std::string_view word;  // Python's
  std::string_view path;  // in keys
};
// In the order of ObjectKind.
constexpr std::array<Row, 7> kRows = {{{"container", "c"},
                                       {"image", "image"},
                                       {"content", "blob"},
                                       {"ingest", "ingest"},
                                       {"snapshot", "snap"},
                                       {"lease", "lease"},
                                       {"checkpoint", "cp"}}};

const Row& row_of(ObjectKind kind) { return kRows.at(static_cast<std::size_t>(kind)); }

// The rest of text behind prefix.
std::optional<std::string_view> behind(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

// "content", or with a name: "content.config", "content/0".
bool is_type(std::string_view rest, std::string_view type) {
  auto name = behind(rest, type);
  return name && (name->empty() || name->front() == '.' || name->front() == '/');
}

std::optional<Object> named_by(std::string_view rest, std::string_view value, bool is_back) {
  const std::string key(value);
  if (key.empty()) return std::nullopt;
  if (is_type(rest, "content") && is_digest(value)) return Object{ObjectKind::kContent, key};
  if (is_type(rest, "image")) return Object{ObjectKind::kImage, key};
  if (is_back && is_type(rest, "container")) return Object{ObjectKind::kContainer, key};
  auto snapshotter = behind(rest, "snapshot.");
  if (!snapshotter) return std::nullopt;
  std::string name(snapshotter->substr(0, snapshotter->find('/')));
  if (name == "overlayfs") name = "overlay";  // containerd's word
  if (name.empty()) return std::nullopt;
  return Object{ObjectKind::kSnapshot, key, name};
}

// Takes n digits from the front.
std::optional<int> take_digits(std::string_view& text, std::size_t n) {
  int value = 0;
  if (text.size() < n) return std::nullopt;
  auto [end, error] = std::from_chars(text.data(), text.data() + n, value);
  if (error != std::errc() || end != text.data() + n || text[0] == '-') return std::nullopt;
  text.remove_prefix(n);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text[0]) == any_of.npos) return false;
  text.remove_prefix(1);
  return true;
}

// "2026-11-27" and "08:00:00", three numbers with a mark between them.
std::optional<std::array<int, 3>> take_three(std::string_view& text, std::size_t first,
                                             std::string_view mark) {
  auto a = take_digits(text, first);
  if (!a || !take(text, mark)) return std::nullopt;
  auto b = take_digits(text, 2);
  if (!b || !take(text, mark)) return std::nullopt;
  auto c = take_digits(text, 2);
  if (!c) return std::nullopt;
  return std::array<int, 3>{*a, *b, *c};
}

// ".123456789", of any length, in ns.
std::optional<int64_t> take_fraction(std::string_view& text) {
  int64_t ns = 0, unit = 100'000'000;
  if (!take(text, ".")) return 0;
  std::size_t count = 0;
  for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), ++count) {
    ns += (text[0] - '0') * unit;
    unit /= 10;
  }
  return count > 0 ? std::optional(ns) : std::nullopt;
}

// "Z" or "+01:00", in minutes; it ends the text.
std::optional<int> take_offset(std::string_view& text) {
  if (text == "Z") return 0;
  const bool is_west = text.starts_with('-');
  if (!take(text, "+-")) return std::nullopt;
  auto hours = take_digits(text, 2);
  if (!hours || !take(text, ":")) return std::nullopt;
  auto minutes = take_digits(text, 2);
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  return (is_west ? -1 : 1) * (*hours * 60 + *minutes);
}

}  // namespace

std::string_view word_of(ObjectKind kind) { return row_of(kind).word; }

ObjectKind kind_of(std::string_view word) {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (kRows.at(i).word == word) return static_cast<ObjectKind>(i);
  throw invalid("kind", word,
                "must be container, image, content, ingest, snapshot, lease or checkpoint");
}

std::string named(const Object& object) {
  std::string text(word_of(object.kind));
  text.append(" \"").append(escaped(object.key, 128)).append("\"");
  if (object.kind == ObjectKind::kSnapshot) text.append(" (").append(object.snapshotter) += ')';
  return text;
}

std::string path_of(const Object& object) {
  std::string path(row_of(object.kind).path);
  path += '/';
  if (object.kind == ObjectKind::kSnapshot) path.append(object.snapshotter) += '/';
  return path + escaped_key(object.key);
}

std::optional<Object> object_at(std::string_view path) {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    auto rest = behind(path, std::string(kRows.at(i).path) + '/');
    if (!rest) continue;
    Object object{static_cast<ObjectKind>(i), {}};
    if (object.kind == ObjectKind::kSnapshot) {
      std::size_t slash = rest->find('/');
      if (slash == rest->npos) return std::nullopt;
      object.snapshotter = rest->substr(0, slash);
      rest->remove_prefix(slash + 1);
    }
    if (rest->empty() || rest->find('/') != rest->npos) return std::nullopt;
    object.key = unescaped_key(*rest);
    return object;
  }
  return std::nullopt;
}

std::string record_key(std::string_view ns, const Object& object) {
  switch (object.kind) {
    case ObjectKind::kContainer:
      return key_container(ns, object.key);
    case ObjectKind::kContent:
      return key_blob(ns, object.key);
    case ObjectKind::kSnapshot:
      return key_snapshot({ns, object.snapshotter, object.key});
    case ObjectKind::kLease:
      return key_lease(ns, object.key);
    case ObjectKind::kCheckpoint:
      return key_checkpoint(ns, object.key);
    case ObjectKind::kImage:
    case ObjectKind::kIngest:
      break;
  }
  return {};
}

std::vector<LabelRef> label_refs(const Labels& labels) {
  std::vector<LabelRef> refs;
  for (auto at = labels.lower_bound("containerd.io/gc."); at != labels.end(); ++at) {
    const auto& [label, value] = *at;
    if (!label.starts_with("containerd.io/gc.")) break;
    auto forward = behind(label, "containerd.io/gc.ref.");
    auto back = behind(label, "containerd.io/gc.bref.");
    if (!forward && !back) continue;
    auto object = named_by(forward ? *forward : *back, value, !forward);
    if (object) refs.push_back({label, std::move(*object), !forward});
  }
  return refs;
}

std::vector<std::string> label_keys(std::string_view ns, const Object& object,
                                    const Labels& labels) {
  std::vector<std::string> keys;
  for (const LabelRef& ref : label_refs(labels))
    keys.push_back(ref.is_back ? key_bref(ns, path_of(ref.object), path_of(object))
                               : ref_prefix(ns, path_of(ref.object)) + "label/" + path_of(object));
  return keys;
}

std::optional<int64_t> parse_time(std::string_view text) {
  auto date = take_three(text, 4, "-");
  if (!date || !take(text, "T")) return std::nullopt;
  auto time = take_three(text, 2, ":");
  if (!time || (*time)[0] > 23 || (*time)[1] > 59 || (*time)[2] > 59) return std::nullopt;
  auto fraction = take_fraction(text);
  auto offset = fraction ? take_offset(text) : std::nullopt;
  const std::chrono::year_month_day day(std::chrono::year((*date)[0]),
                                        std::chrono::month(static_cast<unsigned>((*date)[1])),
                                        std::chrono::day(static_cast<unsigned>((*date)[2])));
  if (!offset || !day.ok()) return std::nullopt;
  int64_t seconds = std::chrono::sys_days(day).time_since_epoch().count() * int64_t{86400};
  seconds += ((*time)[0] * 60 + (*time)[1] - *offset) * int64_t{60} + (*time)[2];
  int64_t ns = 0;
  if (__builtin_mul_overflow(seconds, int64_t{1'000'000'000}, &ns)) return std::nullopt;
  if (__builtin_add_overflow(ns, *fraction, &ns)) return std::nullopt;
  return ns;
}

std::optional<int64_t> expiry_of(const Labels& labels) {
  auto found = labels.find(std::string(kExpireLabel));
  return found == labels.end() ? std::nullopt : parse_time(found->second);
}

}  // namespace ctrd::metadata
