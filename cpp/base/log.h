// SPDX-License-Identifier: Apache-2.0
// What the core has to say beside its errors. The sink is called in the thread that logs; the
// bindings' one hands it to Python's logging under "ctrd" (the core has no threads of its own that
// log), the shim's writes to stderr (shim.log).
#pragma once

#include <string_view>

namespace ctrd {

enum class Level : int {
  kDebug = 10,
  kInfo = 20,
  kWarning = 30,
  kError = 40
};  // logging's numbers

using LogSink = void (*)(Level level, std::string_view message);
void set_log_sink(LogSink sink);  // nullptr: nothing is said
void set_log_level(Level least);  // cheaper ones are not even formatted by log()
bool log_enabled(Level level);
void log(Level level, std::string_view message);

}  // namespace ctrd
