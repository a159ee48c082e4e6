// SPDX-License-Identifier: Apache-2.0
#include "bindings/call.h"

#include <unistd.h>

#include <cmath>

#include "bindings/log.h"

namespace ctrd::bindings {
namespace {

bool is_finalizing() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

// Python runs signal handlers in its main thread only, which is the process's first one (also after
// a fork).
bool is_main_thread() { return getpid() == gettid(); }

void run_signal_handlers() {
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace

Nanos to_nanos(double seconds) {
  constexpr double kLongest = 9e9;  // seconds: the most that fits into 63 bits of nanoseconds
  if (!(seconds < kLongest)) return Nanos::max();
  return Nanos(std::llround(std::fmax(seconds, 0.0) * 1e9));
}

Wait make_wait(Seconds timeout) {
  follow_log_level();
  Wait wait;
  if (timeout) {
    wait.deadline = after(to_nanos(*timeout));
    wait.since = wait.deadline - to_nanos(*timeout);  // so that a message has the very number
  }
  if (is_main_thread()) wait.interrupted = run_signal_handlers;
  return wait;
}

Unlocked::~Unlocked() {
  while (is_finalizing() && !is_main_thread()) pause();
  PyEval_RestoreThread(state_);
}

}  // namespace ctrd::bindings
