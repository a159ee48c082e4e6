// SPDX-License-Identifier: Apache-2.0
// A directory below /tmp for one test.
#pragma once

#include <sys/types.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/files.h"

namespace ctrd::api {

struct Scratch {
  Scratch() {
    if (::mkdtemp(path.data()) == nullptr) throw sys_error("mkdtemp");
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  UniqueFd dir() const { return open_dir(path); }

  std::string path = "/tmp/ctrd-api-XXXXXX";
};

}  // namespace ctrd::api
