// SPDX-License-Identifier: Apache-2.0
#include "bindings/call.h"
#include "bindings/rows.h"

namespace ctrd::bindings {

using engine::LogOptions;
using engine::Logs;

namespace {

py::object next(Logs& self, Seconds timeout) {
  const auto line = call("logs", timeout, [&](const Wait& wait) { return self.next(wait); });
  if (!line) return py::none();
  return to_row(*line);
}

}  // namespace

void bind_logs(py::module_& module) {
  py::class_<LogOptions>(module, "LogOptions")
      .def(py::init<>())
      .def_readwrite("out", &LogOptions::out)
      .def_readwrite("err", &LogOptions::err)
      .def_readwrite("follow", &LogOptions::follow)
      .def_readwrite("tail", &LogOptions::tail)
      .def_readwrite("since_seq", &LogOptions::since_seq)
      .def_readwrite("since_ns", &LogOptions::since_ns);
  py::class_<Logs>(module, "Logs").def("next", next, py::arg("timeout"));
}

void bind_log_reader(PyEngine& cls) {
  cls.def(
      "logs",
      [](engine::Engine& self, const std::string& ns, const std::string& id,
         const LogOptions& options) {
        return call("logs", {}, [&](const Wait& wait) { return self.logs(ns, id, options, wait); });
      },
      py::arg("ns"), py::arg("id"), py::arg("options"));
}

}  // namespace ctrd::bindings
