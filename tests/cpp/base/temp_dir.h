// SPDX-License-Identifier: Apache-2.0
// A directory of a test's own (in memory where there is a place: a disk that discards at each
// removal takes milliseconds a file), and what base's tests say about errors.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "base/error.h"
#include "base/files.h"

namespace ctrd {

class TempDir {
 public:
  TempDir() {
    path_ = (::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    path_ += "/ctrd-base-XXXXXX";
    if (!::mkdtemp(path_.data())) throw sys_error("make a temporary directory in " + path_);
    fd_ = open_dir(path_);
  }
  ~TempDir() {
    std::size_t slash = path_.rfind('/');
    UniqueFd above = open_dir(path_.substr(0, slash));
    remove_tree_at(above.get(), path_.substr(slash + 1));
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
