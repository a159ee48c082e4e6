// SPDX-License-Identifier: Apache-2.0
// The one door through which a ctrd::Error becomes a Python exception. The table (code, kind) ->
// class is Python's: ctrd/_error_table.py.
#include "bindings/pybind.h"
#include "bindings/rows.h"

namespace ctrd::bindings {

py::object to_exception(const Error& error) {
  py::dict context;
  for (const auto& [key, value] : error.context()) context[text(key)] = text(value);
  return py::module_::import("ctrd._error_table")
      .attr("from_core")(static_cast<int>(error.code()), static_cast<int>(error.kind()),
                         text(error.message()), error.sys_errno(), context);
}

namespace {

void raise(const Error& error) {
  const py::object made = to_exception(error);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(made.ptr())), made.ptr());
}

void translate(std::exception_ptr thrown) {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const Error& error) {
    raise(error);
  }
}

// For the tests: an error of the core that went through everything on its way to Python.
void throw_error(int code, int kind, const std::string& message, int sys_errno,
                 const std::map<std::string, std::string>& context) {
  Error error(static_cast<Code>(code), message, static_cast<Kind>(kind), sys_errno);
  for (const auto& [key, value] : context) error.with(key, value);
  throw error;
}

}  // namespace

void bind_errors(py::module_& module) {
  py::register_exception_translator(translate);
  module.def("_throw", throw_error, py::arg("code"), py::arg("kind"), py::arg("message"),
             py::arg("sys_errno"), py::arg("context"));
}

}  // namespace ctrd::bindings
