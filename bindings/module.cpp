// SPDX-License-Identifier: Apache-2.0
// ctrd._core: a list. What each call binds is in the file of that name; the signatures are in
// python/ctrd/_core.pyi.
#include "bindings/pybind.h"

namespace ctrd::bindings {
void bind_checkpoints(py::module_& module);
void bind_fsck(py::module_& module);
}  // namespace ctrd::bindings

PYBIND11_MODULE(_core, module) {
  using namespace ctrd::bindings;
  module.doc() = "ctrd's C++ core. Not for users: the public names are in the package ctrd.";
  module.attr("__version__") = CTRD_VERSION;
  bind_errors(module);
  bind_log(module);
  bind_options(module);
  bind_run_options(module);
  bind_exec_options(module);
  bind_logs(module);
  bind_events(module);
  bind_content(module);
  bind_snapshots(module);
  bind_engine(module);
  bind_checkpoints(module);
  bind_fsck(module);
}
