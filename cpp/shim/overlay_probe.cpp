// SPDX-License-Identifier: Apache-2.0
#include "shim/overlay_probe.h"

#include <sys/stat.h>

#include <exception>

#include "base/error.h"
#include "base/files.h"
#include "base/mount.h"
#include "base/process.h"
#include "shim/mount_namespace.h"

namespace ctrd::shim {
namespace {

void try_overlay(const std::string& dir) {
  for (const char* name : {"lower", "upper", "work", "merged"}) {
    std::string path = dir + "/" + name;
    if (::mkdir(path.c_str(), 0700) < 0) throw sys_error("making " + path);
  }
  // By descriptor: a ',' or ':' in the path would have to be escaped.
  UniqueFd top = open_dir(dir);
  Mount overlay{.type = "overlay",
                .source = "overlay",
                .target = "",
                .options = {"lowerdir=" + fd_path(top.get(), "lower"),
                            "upperdir=" + fd_path(top.get(), "upper"),
                            "workdir=" + fd_path(top.get(), "work")}};
  std::string merged = dir + "/merged";
  mount_all({overlay}, merged);
  try {
    create_file_at(open_dir(merged).get(), "file", "ok", 0600);
    if (read_file_at(open_dir(dir + "/upper").get(), "file") != "ok")
      throw Error(Code::kInternal, "what is written does not arrive in the upper directory");
  } catch (...) {
    unmount_all(merged);
    throw;
  }
  unmount_all(merged);
}

}  // namespace

std::string probe_overlay(const std::string& dir) {
  std::string name = ".overlay-" + random_hex(6);
  std::string reason;
  try {
    UniqueFd parent = open_dir(dir);
    make_dir_at(parent.get(), name, 0700);
    try {
      enter_private_mount_namespace();
      try_overlay(dir + "/" + name);
    } catch (const std::exception& error) {
      reason = error.what();
    }
    remove_tree_at(parent.get(), name);
  } catch (const std::exception& error) {
    reason = error.what();
  }
  return reason;
}

}  // namespace ctrd::shim
