// SPDX-License-Identifier: Apache-2.0
#include "bindings/call.h"
#include "bindings/rows.h"

namespace ctrd::bindings {

using engine::EventOptions;
using engine::EventStream;

namespace {

py::object next(EventStream& self, Seconds timeout) {
  const auto event = call("events", timeout, [&](const Wait& wait) { return self.next(wait); });
  if (!event) return py::none();
  return to_row(*event);
}

int fileno(EventStream& self) {
  return call("fileno", {}, [&](const Wait&) { return self.fd(); });
}

}  // namespace

void bind_events(py::module_& module) {
  py::class_<EventOptions>(module, "EventOptions")
      .def(py::init<>())
      .def_readwrite("filters", &EventOptions::filters)
      .def_readwrite("since_seq", &EventOptions::since_seq)
      .def_readwrite("since_ns", &EventOptions::since_ns)
      .def_readwrite("follow", &EventOptions::follow);
  py::class_<EventStream>(module, "EventStream")
      .def("next", next, py::arg("timeout"))
      .def("fileno", fileno)
      .def("close", &EventStream::close);
}

void bind_event_stream(PyEngine& cls) {
  cls.def(
      "events",
      [](engine::Engine& self, const EventOptions& options) {
        return call("events", {}, [&](const Wait& wait) { return self.events(options, wait); });
      },
      py::arg("options"), py::keep_alive<0, 1>());
}

}  // namespace ctrd::bindings
