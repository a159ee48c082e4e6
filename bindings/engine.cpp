// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include "bindings/call.h"
#include "bindings/rows.h"

namespace ctrd::bindings {

using engine::Config;
using engine::Engine;

void bind_lease_verbs(PyEngine& cls);  // leases.cpp

void bind_engine(py::module_& module) {
  PyEngine cls(module, "Engine");
  cls.def_static(
         "open",
         [](const Config& config) {
           return call("open", {}, [&](const Wait&) { return Engine::open(config); });
         },
         py::arg("config"))
      .def_property_readonly("root", &Engine::root)
      .def_property_readonly("state", &Engine::state)
      .def_property_readonly("closed", &Engine::closed)
      .def("close",
           [](Engine& self) { call("close", {}, [&](const Wait& wait) { self.close(wait); }); })
      .def(
          "doctor",
          [](Engine& self) {
            return to_rows(call("doctor", {}, [&](const Wait& wait) { return self.doctor(wait); }));
          })
      .def("recover", [](Engine& self) {
        call("recover", {}, [&](const Wait& wait) { self.recover(wait); });
      });
  bind_containers(cls);
  bind_namespaces(cls);
  bind_tasks(cls);
  bind_run(cls);
  bind_processes(cls);
  bind_log_reader(cls);
  bind_event_stream(cls);
  bind_content_verbs(cls);
  bind_snapshot_verbs(cls);
  bind_lease_verbs(cls);
  module.def(
      "doctor",
      [](const Config& config) {
        return to_rows(
            call("doctor", {}, [&](const Wait& wait) { return engine::doctor(config, wait); }));
      },
      py::arg("config"));
}

}  // namespace ctrd::bindings
