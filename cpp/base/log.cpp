// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <atomic>

namespace ctrd {
namespace {

std::atomic<LogSink> log_sink{nullptr};
std::atomic<int> log_level{static_cast<int>(Level::kWarning)};  // as in Python's logging

}  // namespace

void set_log_sink(LogSink sink) { log_sink = sink; }

void set_log_level(Level least) { log_level = static_cast<int>(least); }

bool log_enabled(Level level) { return log_sink.load() && static_cast<int>(level) >= log_level; }

void log(Level level, std::string_view message) {
  LogSink sink = log_sink;
  if (sink && log_enabled(level)) sink(level, message);
}

}  // namespace ctrd
