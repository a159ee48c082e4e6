// SPDX-License-Identifier: Apache-2.0
#include "bindings/call.h"
#include "bindings/rows.h"
#include "engine/prune.h"

namespace ctrd::bindings {

using engine::Engine;
using engine::LabelChange;

namespace {

void bind_change(PyEngine& cls) {
  cls.def(
         "create",
         [](Engine& self, const std::string& ns, const engine::CreateOptions& options) {
           return to_row(call("create", {},
                              [&](const Wait& wait) { return self.create(ns, options, wait); }));
         },
         py::arg("ns"), py::arg("options"))
      .def(
          "update",
          [](Engine& self, const std::string& ns, const std::string& id,
             const engine::RecordChange& change) {
            return to_row(call(
                "update", {}, [&](const Wait& wait) { return self.update(ns, id, change, wait); }));
          },
          py::arg("ns"), py::arg("id"), py::arg("change"))
      .def(
          "remove",
          [](Engine& self, const std::string& ns, const std::string& id, bool force,
             bool missing_ok) {
            return call("delete", {}, [&](const Wait& wait) {
              return self.remove(ns, id, force, missing_ok, wait);
            });
          },
          py::arg("ns"), py::arg("id"), py::arg("force"), py::arg("missing_ok"))
      .def(
          "prune",
          [](Engine& self, const std::string& ns, const std::vector<std::string>& filters,
             double stopped_for, bool dry_run) {
            const engine::PruneOptions options{filters, to_nanos(stopped_for), dry_run};
            const auto report = call("prune", {}, [&](const Wait& wait) {
              return engine::prune(self, ns, options, wait);
            });
            py::list removed;
            for (const std::string& id : report.removed) removed.append(text(id));
            return py::make_tuple(py::tuple(removed), report.freed);
          },
          py::arg("ns"), py::arg("filters"), py::arg("stopped_for"), py::arg("dry_run"))
      .def(
          "detach",
          [](Engine& self, const std::string& ns, const std::string& id) {
            call("detach", {}, [&](const Wait& wait) { self.detach(ns, id, wait); });
          },
          py::arg("ns"), py::arg("id"));
}

engine::ListOptions list_options(const std::vector<std::string>& filters, const LabelChange& labels,
                                 const std::vector<int>& status, std::optional<std::size_t> limit) {
  engine::ListOptions options{.filters = filters, .labels = labels, .status = {}, .limit = limit};
  for (const int one : status) options.status.insert(static_cast<engine::TaskStatus>(one));
  return options;
}

void bind_read(PyEngine& cls) {
  cls.def(
         "get",
         [](Engine& self, const std::string& ns, const std::string& id) {
           return to_row(call("get", {}, [&](const Wait& wait) { return self.get(ns, id, wait); }));
         },
         py::arg("ns"), py::arg("id"))
      .def(
          "find",
          [](Engine& self, const std::string& ns, const std::string& id) {
            return to_row(
                call("get", {}, [&](const Wait& wait) { return self.find(ns, id, wait); }));
          },
          py::arg("ns"), py::arg("id"))
      .def(
          "contains",
          [](Engine& self, const std::string& ns, const std::string& id) {
            return call("contains", {},
                        [&](const Wait& wait) { return self.contains(ns, id, wait); });
          },
          py::arg("ns"), py::arg("id"))
      .def(
          "list",
          [](Engine& self, const std::string& ns, const std::vector<std::string>& filters,
             const LabelChange& labels, const std::vector<int>& status,
             std::optional<std::size_t> limit) {
            const auto options = list_options(filters, labels, status, limit);
            return to_rows(
                call("list", {}, [&](const Wait& wait) { return self.list(ns, options, wait); }));
          },
          py::arg("ns"), py::arg("filters"), py::arg("labels"), py::arg("status"), py::arg("limit"))
      .def(
          "spec",
          [](Engine& self, const std::string& ns, const std::string& id) {
            return text(
                call("spec", {}, [&](const Wait& wait) { return self.spec(ns, id, wait); }));
          },
          py::arg("ns"), py::arg("id"));
}

}  // namespace

void bind_containers(PyEngine& cls) {
  bind_change(cls);
  bind_read(cls);
}

}  // namespace ctrd::bindings
