// SPDX-License-Identifier: Apache-2.0
#include "engine/restored_layer.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "engine/launch.h"
#include "snapshot/copy_tree.h"

namespace ctrd::engine {
namespace {

constexpr std::string_view kRestoredPrefix = ".restored-";

std::string name_of(const std::string& instance) { return std::string(kRestoredPrefix) + instance; }

void change_end(std::string* path, const std::string& old, const std::string& fresh) {
  if (path->ends_with(old)) path->replace(path->size() - old.size(), old.size(), fresh);
}

}  // namespace

std::string restored_layer_path(const Core& core, const std::string& instance) {
  return core.root.path + "/snapshots/" + name_of(instance);
}

void make_restored_layer(const Core& core, const std::string& instance, const Restoration& from,
                         const Wait& wait) {
  UniqueFd fresh = make_dir_at(core.root.snapshots.get(), name_of(instance), 0755);
  UniqueFd layer(::open(from.layer.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!layer) throw sys_error("open " + from.layer);
  if (from.is_ours)
    snapshot::copy_layer(layer.get(), fresh.get(), wait);
  else
    snapshot::copy_tree(layer.get(), fresh.get(), wait);
}

void mount_restored_layer(const std::string& instance, uint64_t number,
                          std::vector<Mount>* mounts) {
  const std::string own = "/" + std::to_string(number) + "/fs", fresh = "/" + name_of(instance);
  Mount& top = mounts->front();
  if (top.type == "bind") return change_end(&top.source, own, fresh);
  for (std::string& option : top.options)
    if (option.starts_with("upperdir=")) change_end(&option, own, fresh);
}

void remove_restored_layer(const Core& core, const std::string& instance) {
  try {
    remove_tree_at(core.root.snapshots.get(), name_of(instance));
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
}

std::vector<std::string> restored_layers(const std::vector<std::string>& names) {
  std::vector<std::string> instances;
  for (const std::string& name : names)
    if (name.starts_with(kRestoredPrefix)) instances.push_back(name.substr(kRestoredPrefix.size()));
  return instances;
}

}  // namespace ctrd::engine
