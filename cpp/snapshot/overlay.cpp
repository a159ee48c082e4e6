// SPDX-License-Identifier: Apache-2.0
#include "snapshot/overlay.h"

#include <sys/stat.h>

#include <string_view>

#include "base/error.h"
#include "base/files.h"

namespace ctrd::snapshot {
namespace {

constexpr char kField[] = "rootfs";

// A layer's trusted.overlay.redirect and .metacopy could name any path of the layers below; the
// kernel follows them unless told otherwise.
const std::vector<std::string> kClosed = {"redirect_dir=nofollow", "metacopy=off"};

// Overlay splits its options at ',' and its lower directories at ':'; both, and '\', are escaped by
// '\'.
std::string escape_path(std::string_view path) {
  std::string text;
  for (char c : path) {
    if (c == ':' || c == '\\' || c == ',') text += '\\';
    text += c;
  }
  return text;
}

std::string join_layers(const std::vector<std::string>& layers) {
  std::string text;
  for (const std::string& layer : layers)
    text.append(text.empty() ? "" : ":") += escape_path(layer);
  return text;
}

UniqueFd open_lower(const std::string& path) {
  if (!path.starts_with('/')) throw invalid(kField, path, "must be an absolute path");
  if (path.find('\0') != path.npos) throw invalid(kField, path, "must not contain a NUL byte");
  UniqueFd dir(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (dir) return dir;
  if (errno == ENOTDIR) throw invalid(kField, path, "must be a directory");
  throw Error(sys_error(std::string(kField) + ": open " + path))
      .with("field", kField)
      .with("value", path);
}

// Overlay refuses an upper directory inside a lower one ("too many levels of symbolic links").
void check_outside(const std::string& lower, const std::string& snapshots) {
  std::string above = real_path(lower);
  if (above.back() != '/') above += '/';
  if ((real_path(snapshots) + '/').starts_with(above))
    throw invalid(kField, lower, "must not contain ctrd's own root");
}

void take_after(int dir, int bottom) {
  struct stat facts {};
  if (::fstat(bottom, &facts) < 0) throw sys_error("stat the root filesystem's directory");
  if (::fchown(dir, facts.st_uid, facts.st_gid) < 0)
    throw sys_error("chown a snapshot's directory");
  if (::fchmod(dir, facts.st_mode & 07777) < 0) throw sys_error("chmod a snapshot's directory");
}

}  // namespace

Overlay::Overlay(int snapshots_dir, std::string snapshots_path)
    : dir_(snapshots_dir), path_(std::move(snapshots_path)) {}

// "work" comes last: while it is missing, fs may not look like the bottom yet.
void Overlay::make_dirs(const std::string& name, int bottom) const {
  if (exists_at(dir_, name + "/work")) return;
  UniqueFd snapshot = make_dirs_at(dir_, name, 0700);
  UniqueFd fs = make_dirs_at(snapshot.get(), "fs", 0755);
  if (bottom >= 0) take_after(fs.get(), bottom);
  make_dirs_at(snapshot.get(), "work", 0711);
}

std::vector<Mount> Overlay::active(uint64_t number, const std::vector<std::string>& lowers) const {
  std::string name = std::to_string(number);
  UniqueFd top;
  for (const std::string& lower : lowers) {
    UniqueFd opened = open_lower(lower);
    check_outside(lower, path_);
    if (!top) top = std::move(opened);
  }
  make_dirs(name, top.get());
  std::string base = path_ + '/' + name;
  if (lowers.empty()) return {{"bind", base + "/fs", "", {"rbind", "rw"}}};
  std::vector<std::string> options = kClosed;
  options.insert(options.end(),
                 {"index=off", "workdir=" + escape_path(base + "/work"),
                  "upperdir=" + escape_path(base + "/fs"), "lowerdir=" + join_layers(lowers)});
  return {{"overlay", "overlay", "", std::move(options)}};
}

// The kernel wants two layers where there is no upper one.
std::vector<Mount> Overlay::view(const std::vector<std::string>& layers) const {
  if (layers.size() == 1) return {{"bind", layers[0], "", {"rbind", "ro"}}};
  std::vector<std::string> options = kClosed;
  options.insert(options.end(), {"ro", "lowerdir=" + join_layers(layers)});
  return {{"overlay", "overlay", "", std::move(options)}};
}

std::vector<Mount> Overlay::empty_view(uint64_t number) const {
  make_dirs(std::to_string(number), -1);
  return {{"bind", path_ + '/' + std::to_string(number) + "/fs", "", {"rbind", "ro"}}};
}

}  // namespace ctrd::snapshot
