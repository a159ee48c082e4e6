// SPDX-License-Identifier: Apache-2.0
#include "bindings/log.h"

#include "base/log.h"
#include "bindings/pybind.h"
#include "bindings/rows.h"

namespace ctrd::bindings {
namespace {

PyObject* logger = nullptr;  // borrowed for ever: a logger lives as long as the interpreter

// Only in a thread that came from Python: one of the core's own would have to make a Python thread
// state.
void to_python(Level level, std::string_view message) {
  if (PyGILState_GetThisThreadState() == nullptr) return;
  const py::gil_scoped_acquire gil;
  const py::error_scope kept;  // a message may be said while an exception is on its way
  try {
    py::handle(logger).attr("log")(static_cast<int>(level), "%s", text(message));
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable("ctrd's log message");
  }
}

}  // namespace

void follow_log_level() {
  const auto least = py::handle(logger).attr("getEffectiveLevel")().cast<int>();
  set_log_level(static_cast<Level>(least));
}

void bind_log(py::module_&) {
  logger = py::module_::import("logging").attr("getLogger")("ctrd.core").release().ptr();
  set_log_sink(to_python);
}

}  // namespace ctrd::bindings
