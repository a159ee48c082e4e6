// SPDX-License-Identifier: Apache-2.0
// A directory of a test's own under /tmp, and what base's tests say about errors.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "base/error.h"
#include "base/files.h"

namespace ctrd {

class TempDir {
 public:
  TempDir() {
    char path[] = "/tmp/ctrd-base-XXXXXX";
    if (!::mkdtemp(path)) throw sys_error("make a temporary directory");
    path_ = path;
    fd_ = open_dir(path_);
  }
  ~TempDir() {
    UniqueFd tmp = open_dir("/tmp");
    remove_tree_at(tmp.get(), path_.substr(5));
  }

  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  int fd() const { return fd_.get(); }

 private:
  std::string path_;
  UniqueFd fd_;
};

// The error that this throws; a test failure and kOk if it throws none.
template <typename Function>
Error error_of(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(Code::kOk, "nothing was thrown");
}

template <typename Function>
Code code_of(const Function& function) {
  return error_of(function).code();
}

}  // namespace ctrd
