// SPDX-License-Identifier: Apache-2.0
#include "bindings/call.h"
#include "bindings/rows.h"

namespace ctrd::bindings {

using engine::Engine;
using engine::LabelChange;
using engine::Labels;

namespace {

py::list list_namespaces(Engine& self) {
  const auto names = call("list", {}, [&](const Wait& wait) { return self.namespaces(wait); });
  py::list made;
  for (const std::string& name : names) made.append(text(name));
  return made;
}

py::dict labels_of(Engine& self, const std::string& ns) {
  return text_map(
      call("labels", {}, [&](const Wait& wait) { return self.namespace_labels(ns, wait); }));
}

}  // namespace

void bind_namespaces(PyEngine& cls) {
  cls.def("namespaces", list_namespaces)
      .def("namespace_labels", labels_of, py::arg("ns"))
      .def(
          "create_namespace",
          [](Engine& self, const std::string& ns, const Labels& labels) {
            call("create", {}, [&](const Wait& wait) { self.create_namespace(ns, labels, wait); });
          },
          py::arg("ns"), py::arg("labels"))
      .def(
          "update_namespace",
          [](Engine& self, const std::string& ns, const LabelChange& labels) {
            call("update", {}, [&](const Wait& wait) { self.update_namespace(ns, labels, wait); });
          },
          py::arg("ns"), py::arg("labels"))
      .def(
          "remove_namespace",
          [](Engine& self, const std::string& ns) {
            call("delete", {}, [&](const Wait& wait) { self.remove_namespace(ns, wait); });
          },
          py::arg("ns"));
}

}  // namespace ctrd::bindings
