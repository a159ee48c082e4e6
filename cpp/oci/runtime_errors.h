// SPDX-License-Identifier: Apache-2.0
// The only file that reads a runtime's words. A table from texts of crun and runc to codes, tested
// against the real ones; what it does not know is kInternal with Kind::kRuntime (RuntimeFailed) and
// the runtime's words.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "oci/verbs.h"

namespace ctrd::oci {

// The last error record of a --log file: a stream of JSON objects (one a line, or pretty-printed);
// "" if there is none.
std::string last_log_message(std::string_view log);
// Context: runtime, verb, exit_code, log_tail.
Error runtime_error(const Command& command, const Outcome& outcome);
// The same of a shim that is not ours, which passes on its runtime's words, or has its own.
Error shim_error(Verb verb, const std::string& shim, const std::string& words);
// True if the error says that the container is not known to the runtime, or its process has ended.
bool says_gone(const Error& error);

}  // namespace ctrd::oci
