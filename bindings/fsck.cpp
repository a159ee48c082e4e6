// SPDX-License-Identifier: Apache-2.0
#include "engine/fsck.h"

#include "bindings/call.h"
#include "bindings/rows.h"

namespace ctrd::bindings {

using engine::Engine;
using engine::FsckFinding;

namespace {

py::list fsck(Engine& self, bool repair, bool verify) {
  const auto found = call("fsck", {}, [&](const Wait& wait) {
    return engine::fsck(self, {.repair = repair, .verify = verify}, wait);
  });
  py::list rows;
  for (const FsckFinding& one : found)
    rows.append(py::make_tuple(text(one.what.kind), text(one.what.key), text(one.what.problem),
                               text(one.what.detail), one.what.repairable, one.repaired));
  return rows;
}

}  // namespace

void bind_fsck(py::module_& module) {
  module.def("fsck", fsck, py::arg("engine"), py::arg("repair"), py::arg("verify"));
}

}  // namespace ctrd::bindings
