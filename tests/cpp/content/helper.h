// SPDX-License-Identifier: Apache-2.0
// Another process on the same root: this test program again, with "--helper <what> <root> <name>".
#pragma once

#include <string>

#include "base/spawn.h"

namespace ctrd::content {

int run_helper(const std::string& what, const std::string& root, const std::string& name);

class Helper {
 public:
  Helper(const std::string& what, const std::string& root, const std::string& name);
  ~Helper();
  std::string line();  // the next line of its output, "" at the end
  void kill();         // SIGKILL; reaped
  int wait();          // its exit status

 private:
  UniqueFd output_;
  Child child_;
  bool reaped_ = false;
};

}  // namespace ctrd::content
