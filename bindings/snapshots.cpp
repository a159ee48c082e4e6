// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshots.h"

#include "bindings/call.h"
#include "bindings/rows.h"
#include "engine/snapshot_mount.h"

namespace ctrd::bindings {

using engine::Engine;
using engine::LabelChange;
using engine::Labels;
using engine::SnapshotInfo;
using engine::SnapshotMount;
using engine::Snapshots;
using Text = const std::string&;
using Fields = std::optional<std::vector<std::string>>;
using Target = std::optional<std::string>;
using Filters = std::vector<std::string>;

namespace {

py::tuple snapshot_row(const SnapshotInfo& info) {
  const metadata::Snapshot& record = info.record;
  return py::make_tuple(text(info.key), text(record.parent), record.kind, text_map(record.labels),
                        record.created_ns, record.updated_ns, text(info.container));
}

py::list snapshot_rows(const std::vector<SnapshotInfo>& infos) {
  py::list rows;
  for (const SnapshotInfo& info : infos) rows.append(snapshot_row(info));
  return rows;
}

py::list mount_rows(const std::vector<Mount>& mounts) {
  py::list rows;
  for (const Mount& mount : mounts) {
    py::list options;
    for (const std::string& option : mount.options) options.append(text(option));
    rows.append(py::make_tuple(text(mount.type), text(mount.source), text(mount.target),
                               py::tuple(options)));
  }
  return rows;
}

// f(snapshots, wait), as a verb.
template <class F>
auto with(const char* verb, Engine& self, const F& f) {
  return call(verb, {}, [&](const Wait& wait) { return f(self.snapshots(wait), wait); });
}

py::list prepare(Engine& self, Text ns, Text snapshotter, Text key, Text parent,
                 const Labels& labels, Text lease) {
  return mount_rows(with("prepare", self, [&](Snapshots& all, const Wait& wait) {
    return all.prepare({ns, key, snapshotter, lease}, parent, labels, wait);
  }));
}

py::list view(Engine& self, Text ns, Text snapshotter, Text key, Text parent, const Labels& labels,
              Text lease) {
  return mount_rows(with("view", self, [&](Snapshots& all, const Wait& wait) {
    return all.view({ns, key, snapshotter, lease}, parent, labels, wait);
  }));
}

py::tuple commit(Engine& self, Text ns, Text snapshotter, Text name, Text key, const Labels& labels,
                 Text lease) {
  return snapshot_row(with("commit", self, [&](Snapshots& all, const Wait& wait) {
    return all.commit(name, {ns, key, snapshotter, lease}, labels, wait);
  }));
}

py::list mounts(Engine& self, Text ns, Text snapshotter, Text key) {
  return mount_rows(with("mounts", self, [&](Snapshots& all, const Wait& wait) {
    return all.mounts({ns, key, snapshotter}, wait);
  }));
}

std::unique_ptr<SnapshotMount> mount(Engine& self, Text ns, Text snapshotter, Text key,
                                     const Target& target) {
  return with("mount", self, [&](Snapshots& all, const Wait& wait) {
    return all.mount({ns, key, snapshotter}, target, wait);
  });
}

py::tuple stat(Engine& self, Text ns, Text snapshotter, Text key) {
  return snapshot_row(with("stat", self, [&](Snapshots& all, const Wait& wait) {
    return all.stat({ns, key, snapshotter}, wait);
  }));
}

py::tuple usage(Engine& self, Text ns, Text snapshotter, Text key) {
  auto used = with("usage", self, [&](Snapshots& all, const Wait& wait) {
    return all.usage({ns, key, snapshotter}, wait);
  });
  return py::make_tuple(used.size, used.inodes);
}

py::tuple update(Engine& self, Text ns, Text snapshotter, Text key, const LabelChange& labels,
                 const Fields& fields) {
  return snapshot_row(with("update", self, [&](Snapshots& all, const Wait& wait) {
    return all.update({ns, key, snapshotter}, labels, fields, wait);
  }));
}

py::list list(Engine& self, Text ns, Text snapshotter, const Filters& filters) {
  return snapshot_rows(with("list", self, [&](Snapshots& all, const Wait& wait) {
    return all.list(ns, snapshotter, filters, wait);
  }));
}

void remove(Engine& self, Text ns, Text snapshotter, Text key) {
  with("remove", self, [&](Snapshots& all, const Wait& wait) {
    all.remove({ns, key, snapshotter}, wait);
  });
}

}  // namespace

void bind_snapshots(py::module_& module) {
  py::class_<SnapshotMount>(module, "SnapshotMount")
      .def_property_readonly("path", &SnapshotMount::path)
      .def_property_readonly("was_busy", &SnapshotMount::was_busy)
      .def("close",
           [](SnapshotMount& self) { call("unmount", {}, [&](const Wait&) { self.close(); }); });
}

void bind_snapshot_verbs(PyEngine& cls) {
  const py::arg ns("ns"), snapshotter("snapshotter"), key("key");
  const py::arg parent("parent"), labels("labels"), lease("lease");
  cls.def("prepare_snapshot", prepare, ns, snapshotter, key, parent, labels, lease)
      .def("view_snapshot", view, ns, snapshotter, key, parent, labels, lease)
      .def("commit_snapshot", commit, ns, snapshotter, py::arg("name"), key, labels, lease)
      .def("snapshot_mounts", mounts, ns, snapshotter, key)
      .def("mount_snapshot", mount, ns, snapshotter, key, py::arg("target"), py::keep_alive<0, 1>())
      .def("snapshot", stat, ns, snapshotter, key)
      .def("snapshot_usage", usage, ns, snapshotter, key)
      .def("update_snapshot", update, ns, snapshotter, key, labels, py::arg("fields"))
      .def("snapshots", list, ns, snapshotter, py::arg("filters"))
      .def("remove_snapshot", remove, ns, snapshotter, key);
}

}  // namespace ctrd::bindings
