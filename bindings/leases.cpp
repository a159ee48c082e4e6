// SPDX-License-Identifier: Apache-2.0
#include "engine/leases.h"

#include "bindings/call.h"
#include "bindings/rows.h"
#include "engine/gc.h"

namespace ctrd::bindings {

using engine::Engine;
using engine::LeaseResource;
using metadata::Lease;
using Text = const std::string&;

namespace {

py::tuple lease_row(const Lease& lease) {
  py::object pid = py::none();
  if (lease.owner != 0) pid = py::int_(lease.owner_process.pid);
  return py::make_tuple(text(lease.id), text_map(lease.labels), lease.created_ns,
                        metadata::expiry_of(lease.labels), pid);
}

py::tuple resource_row(const LeaseResource& one) {
  return py::make_tuple(text(one.kind), text(one.key), text(one.snapshotter));
}

py::list resource_rows(const std::vector<LeaseResource>& all) {
  py::list rows;
  for (const LeaseResource& one : all) rows.append(resource_row(one));
  return rows;
}

py::tuple create_lease(Engine& self, Text ns, Text id, const engine::Labels& labels,
                       bool detached) {
  return lease_row(call("lease", {}, [&](const Wait& wait) {
    return engine::create_lease(self, ns, {id, labels, detached}, wait);
  }));
}

py::tuple lease(Engine& self, Text ns, Text id) {
  return lease_row(
      call("get", {}, [&](const Wait& wait) { return engine::get_lease(self, ns, id, wait); }));
}

py::list leases(Engine& self, Text ns, const std::vector<std::string>& filters) {
  py::list rows;
  for (const Lease& one : call("list", {}, [&](const Wait& wait) {
         return engine::list_leases(self, ns, filters, wait);
       }))
    rows.append(lease_row(one));
  return rows;
}

void remove_lease(Engine& self, Text ns, Text id, int64_t created_ns) {
  call("delete", {},
       [&](const Wait& wait) { engine::remove_lease(self, ns, id, created_ns, wait); });
}

void add_to_lease(Engine& self, Text ns, Text id, Text kind, Text key, Text snapshotter) {
  call("add", {}, [&](const Wait& wait) {
    engine::add_to_lease(self, ns, id, {kind, key, snapshotter}, wait);
  });
}

void drop_from_lease(Engine& self, Text ns, Text id, Text kind, Text key, Text snapshotter) {
  call("remove", {}, [&](const Wait& wait) {
    engine::drop_from_lease(self, ns, id, {kind, key, snapshotter}, wait);
  });
}

py::list lease_resources(Engine& self, Text ns, Text id) {
  return resource_rows(call("resources", {}, [&](const Wait& wait) {
    return engine::lease_resources(self, ns, id, wait);
  }));
}

py::tuple gc(Engine& self, Text ns, bool dry_run) {
  const auto report =
      call("gc", {}, [&](const Wait& wait) { return engine::gc(self, ns, dry_run, wait); });
  return py::make_tuple(resource_rows(report.removed), report.freed);
}

py::tuple explain(Engine& self, Text ns, Text kind, Text key, Text snapshotter) {
  const auto why = call("explain", {}, [&](const Wait& wait) {
    return engine::explain(self, ns, {kind, key, snapshotter}, wait);
  });
  py::list paths;
  for (const auto& path : why.paths) {
    py::list steps;
    for (const std::string& step : path) steps.append(text(step));
    paths.append(py::tuple(steps));
  }
  return py::make_tuple(why.is_kept, py::tuple(paths), text(why.hint));
}

}  // namespace

void bind_lease_verbs(PyEngine& cls);  // engine.cpp calls it

void bind_lease_verbs(PyEngine& cls) {
  const py::arg ns("ns"), id("id"), kind("kind"), key("key"), snapshotter("snapshotter");
  cls.def("create_lease", create_lease, ns, id, py::arg("labels"), py::arg("detached"))
      .def("lease", lease, ns, id)
      .def("leases", leases, ns, py::arg("filters"))
      .def("remove_lease", remove_lease, ns, id, py::arg("created_ns"))
      .def("add_to_lease", add_to_lease, ns, id, kind, key, snapshotter)
      .def("drop_from_lease", drop_from_lease, ns, id, kind, key, snapshotter)
      .def("lease_resources", lease_resources, ns, id)
      .def("gc", gc, ns, py::arg("dry_run"))
      .def("explain", explain, ns, kind, key, snapshotter);
}

}  // namespace ctrd::bindings
