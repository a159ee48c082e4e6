// SPDX-License-Identifier: Apache-2.0
// What Python fills in before a call: the engine's option structs, attribute by attribute. Python
// has checked and normalised everything (python/ctrd/_options.py); a wrong type that slips through
// is pybind11's TypeError.
#include "bindings/call.h"
#include "engine/runtime_options.h"

namespace ctrd::bindings {
namespace {

void bind_mount(py::module_& module) {
  using oci::MountOption;
  py::class_<MountOption>(module, "MountOption")
      .def(py::init<>())
      .def_readwrite("type", &MountOption::type)
      .def_readwrite("source", &MountOption::source)
      .def_readwrite("destination", &MountOption::destination)
      .def_readwrite("read_only", &MountOption::read_only)
      .def_readwrite("size_bytes", &MountOption::size_bytes)
      .def_readwrite("field", &MountOption::field);
}

void bind_resources(py::module_& module) {
  using oci::IoOptions, oci::ResourceOptions;
  py::class_<IoOptions>(module, "IoOptions")
      .def(py::init<>())
      .def_readwrite("device", &IoOptions::device)
      .def_readwrite("read_bps", &IoOptions::read_bps)
      .def_readwrite("write_bps", &IoOptions::write_bps)
      .def_readwrite("read_iops", &IoOptions::read_iops)
      .def_readwrite("write_iops", &IoOptions::write_iops)
      .def_readwrite("weight", &IoOptions::weight);
  py::class_<ResourceOptions>(module, "ResourceOptions")
      .def(py::init<>())
      .def_readwrite("memory_bytes", &ResourceOptions::memory_bytes)
      .def_readwrite("swap_bytes", &ResourceOptions::swap_bytes)
      .def_readwrite("pids", &ResourceOptions::pids)
      .def_readwrite("cpus", &ResourceOptions::cpus)
      .def_readwrite("cpu_weight", &ResourceOptions::cpu_weight)
      .def_readwrite("cpuset_cpus", &ResourceOptions::cpuset_cpus)
      .def_readwrite("cpuset_mems", &ResourceOptions::cpuset_mems)
      .def_readwrite("io", &ResourceOptions::io);
}

void bind_spec(py::module_& module) {
  using oci::SpecOptions;
  py::class_<SpecOptions>(module, "SpecOptions")
      .def(py::init<>())
      .def_readwrite("args", &SpecOptions::args)
      .def_readwrite("env", &SpecOptions::env)
      .def_readwrite("cwd", &SpecOptions::cwd)
      .def_readwrite("user", &SpecOptions::user)
      .def_readwrite("hostname", &SpecOptions::hostname)
      .def_readwrite("tty", &SpecOptions::tty)
      .def_readwrite("console_size", &SpecOptions::console_size)
      .def_readwrite("annotations", &SpecOptions::annotations)
      .def_readwrite("mounts", &SpecOptions::mounts)
      .def_readwrite("network", &SpecOptions::network)
      .def_readwrite("read_only", &SpecOptions::read_only)
      .def_readwrite("init", &SpecOptions::init)
      .def_readwrite("privileged", &SpecOptions::privileged)
      .def_readwrite("sysctls", &SpecOptions::sysctls)
      .def_readwrite("devices", &SpecOptions::devices)
      .def_readwrite("no_new_privileges", &SpecOptions::no_new_privileges)
      .def_readwrite("cap_add", &SpecOptions::cap_add)
      .def_readwrite("cap_drop", &SpecOptions::cap_drop)
      .def_readwrite("seccomp", &SpecOptions::seccomp)
      .def_readwrite("seccomp_json", &SpecOptions::seccomp_json)
      .def_readwrite("rlimits", &SpecOptions::rlimits)
      .def_readwrite("resources", &SpecOptions::resources)
      .def_readwrite("spec_patch", &SpecOptions::spec_patch)
      .def_readwrite("edit_spec", &SpecOptions::edit_spec);
}

void bind_runc_options(py::module_& module) {
  using engine::RuncOptions;
  py::class_<RuncOptions>(module, "RuncOptions")
      .def(py::init<>())
      .def_readwrite("no_pivot_root", &RuncOptions::no_pivot_root)
      .def_readwrite("no_new_keyring", &RuncOptions::no_new_keyring)
      .def_readwrite("io_uid", &RuncOptions::io_uid)
      .def_readwrite("io_gid", &RuncOptions::io_gid)
      .def_readwrite("binary_name", &RuncOptions::binary_name);
}

void bind_create(py::module_& module) {
  using engine::CreateOptions;
  py::class_<CreateOptions>(module, "CreateOptions")
      .def(py::init<>())
      .def_readwrite("id", &CreateOptions::id)
      .def_readwrite("replace", &CreateOptions::replace)
      .def_readwrite("detached", &CreateOptions::detached)
      .def_readwrite("delete_on_exit", &CreateOptions::delete_on_exit)
      .def_readwrite("rootfs", &CreateOptions::rootfs)
      .def_readwrite("snapshot", &CreateOptions::snapshot)
      .def_readwrite("labels", &CreateOptions::labels)
      .def_readwrite("extensions", &CreateOptions::extensions)
      .def_readwrite("snapshotter", &CreateOptions::snapshotter)
      .def_readwrite("runtime", &CreateOptions::runtime)
      .def_readwrite("sandbox_id", &CreateOptions::sandbox_id)
      .def_readwrite("spec", &CreateOptions::spec)
      .def(
          "set_runc_options",
          [](CreateOptions& self, const engine::RuncOptions& options) {
            self.runtime_options = engine::pack(options);
          },
          py::arg("options"))
      .def(
          "set_runtime_options",
          [](CreateOptions& self, const std::string& type_url, const py::bytes& value) {
            self.runtime_options = {type_url, value};
          },
          py::arg("type_url"), py::arg("value"));
}

void bind_change(py::module_& module) {
  using engine::RecordChange;
  py::class_<RecordChange>(module, "RecordChange")
      .def(py::init<>())
      .def_readwrite("labels", &RecordChange::labels)
      .def_readwrite("annotations", &RecordChange::annotations)
      .def_readwrite("resources", &RecordChange::resources)
      .def_readwrite("extensions", &RecordChange::extensions)
      .def_readwrite("image", &RecordChange::image)
      .def_readwrite("snapshot_key", &RecordChange::snapshot_key)
      .def_readwrite("spec", &RecordChange::spec)
      .def_readwrite("fields", &RecordChange::fields);
}

void bind_config(py::module_& module) {
  using engine::Config;
  py::class_<Config>(module, "Config")
      .def(py::init<>())
      .def_readwrite("root", &Config::root)
      .def_readwrite("state", &Config::state)
      .def_readwrite("runtime", &Config::runtime)
      .def_readwrite("snapshotter", &Config::snapshotter)
      .def_readwrite("shim", &Config::shim)
      .def_readwrite("log_max", &Config::log_max)
      .def(
          "set_lock_timeout",
          [](Config& self, double seconds) { self.lock_timeout = to_nanos(seconds); },
          py::arg("seconds"))
      .def(
          "set_rpc_timeout",
          [](Config& self, double seconds) { self.rpc_timeout = to_nanos(seconds); },
          py::arg("seconds"))
      .def(
          "set_checkpoint_timeout",
          [](Config& self, double seconds) { self.checkpoint_timeout = to_nanos(seconds); },
          py::arg("seconds"));
}

}  // namespace

void bind_options(py::module_& module) {
  bind_mount(module);
  bind_resources(module);
  bind_spec(module);
  bind_runc_options(module);
  bind_create(module);
  bind_change(module);
  bind_config(module);
}

}  // namespace ctrd::bindings
