// SPDX-License-Identifier: Apache-2.0
// Shims that are not ours, without containerd: found by the name of their runtime, started and
// cleaned up after by containerd's contract. What they lack is said here, in one place. Not for
// calls to one: other_task.h. Source: shim-protocol.md 2, 9.
#pragma once

#include <string>

#include "api/bundle.h"
#include "base/error.h"
#include "base/process.h"
#include "base/time.h"
#include "engine/values.h"
#include "metadata/record.h"

namespace ctrd::engine {

inline constexpr std::string_view kOurShim = "io.containerd.ctrd.v2";

// Whether a runtime's name, as a caller or a record has it, means a shim that is not ours.
bool is_other_shim(std::string_view runtime);
// The path of its program: containerd-shim-runc-v2 for io.containerd.runc.v2. Throws
// kInvalidArgument; kNotFound (kRuntime), which says where it was looked for.
std::string find_other_shim(const std::string& runtime);

// What somebody asks of a task. Throws kUnimplemented for what this runtime's shim lacks, with a
// hint; ours lacks nothing.
struct Wanted {
  bool owner = false;       // that its end is the task's
  bool deletion = false;    // on_exit="delete"
  bool limit = false;       // timeout=
  bool checkpoint = false;  // that it is made from one, or made into one
  Stdio stdio = {Std::kDevnull, Std::kDevnull, Std::kDevnull};
};
void check_supported(const std::string& runtime, const Wanted& wanted);
void check_other(const std::string& runtime, const Wanted& wanted);  // the same, of one that is not
Error lacks(const std::string& runtime, const std::string& what, const std::string& hint);

// The stdio paths of a CreateRequest or ExecProcessRequest, as containerd's contract has them.
struct StdioPaths {
  std::string in, out, err;
};
StdioPaths contract_paths(StdioPaths paths, bool terminal);
bool is_runcs_shim(std::string_view runtime);
// What a shim is told: runc's by which runtime it works, and where; another gets the record's.
api::Any other_options(const metadata::Container& record, const std::string& bundle);

// A shim of a bundle, which is its working directory.
struct OtherShim {
  std::string binary, ns, id;
  int dir = -1;  // of the bundle, which has its config.json already
};
// Its `start`: then <bundle>/sock leads to it. Throws kInternal (kRuntime) with its words.
ProcessKey start_other_shim(const OtherShim& shim, const api::Any& options, const Wait& wait);
// Its `delete`, when it has died: what it knows of is ended and removed. A failure is logged.
void delete_by_other_shim(const OtherShim& shim);
// The socket outside of the bundle, the mounts in our namespace.
void remove_other_remains(int bundle);

}  // namespace ctrd::engine
