// SPDX-License-Identifier: Apache-2.0
// A directory in memory for a target that needs files; gone with the process, unless it crashes.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/files.h"

namespace ctrd::fuzz {

class Scratch {
 public:
  Scratch() : path_("/dev/shm/ctrd-fuzz-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
    dir_ = open_dir(path_);
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  int dir() const { return dir_.get(); }

 private:
  std::string path_;
  UniqueFd dir_;
};

}  // namespace ctrd::fuzz
