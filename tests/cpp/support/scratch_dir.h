// SPDX-License-Identifier: Apache-2.0
// A directory of a test's own, gone with it. Needs no test framework: fuzz targets use it too.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/files.h"

namespace ctrd {

struct ScratchDir {
  // begin: the path without the letters that make it unique, "/tmp/ctrd-api-".
  explicit ScratchDir(const std::string& begin) : path(begin + "XXXXXX") {
    if (::mkdtemp(path.data()) == nullptr) throw sys_error("make directory " + path);
  }
  ~ScratchDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  UniqueFd dir() const { return open_dir(path); }

  std::string path;
};

}  // namespace ctrd
