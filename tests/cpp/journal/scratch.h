// SPDX-License-Identifier: Apache-2.0
// A journal in a directory of its own, and child processes that write to it.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/files.h"
#include "journal/reader.h"
#include "journal/writer.h"
#include "support/scratch_dir.h"

namespace ctrd::journal {

struct Scratch : ScratchDir {
  Scratch() : ScratchDir("/tmp/ctrd-journal-") {}

  std::vector<std::string> names() const {
    auto found = list_dir(dir().get());
    std::sort(found.begin(), found.end());
    return found;
  }
  std::string file(const std::string& name) const { return path + "/" + name; }
  void add_raw(const std::string& name, const std::string& bytes) const {
    std::ofstream(file(name), std::ios::app | std::ios::binary) << bytes;
  }
};

inline Wait soon() { return Wait{after(std::chrono::seconds(20)), {}}; }

inline void append(Writer& writer, const std::string& body) {
  std::vector<std::string> bodies{body};
  writer.append(bodies, soon());
}

// All that is there now, from a position on.
inline std::vector<Record> all(Reader& reader) {
  std::vector<Record> records;
  while (auto record = reader.next()) records.push_back(std::move(*record));
  return records;
}
inline std::vector<std::string> bodies(const Scratch& scratch, uint64_t from = 0) {
  Reader reader(scratch.dir(), from);
  std::vector<std::string> found;
  for (auto& record : all(reader)) found.push_back(record.body);
  return found;
}

// Runs f in a forked child that is no more than that: returns its pid.
inline pid_t in_child(const std::function<void()>& f) {
  pid_t pid = ::fork();
  if (pid != 0) return pid;
  try {
    f();
  } catch (...) {
    ::_exit(1);
  }
  ::_exit(0);
}
inline int exit_of(pid_t pid) {
  int status = -1;
  ::waitpid(pid, &status, 0);
  return status;
}

}  // namespace ctrd::journal
