// SPDX-License-Identifier: Apache-2.0
// Checkpoints and restores: functions that take an Engine, and options attribute by attribute.
#include "engine/checkpoint.h"

#include "bindings/call.h"
#include "bindings/rows.h"
#include "engine/checkpoint_report.h"
#include "engine/fork_task.h"

namespace ctrd::bindings {

using engine::CheckpointInfo;
using engine::CheckpointOptions;
using engine::CheckpointPlace;
using engine::Engine;
using engine::RestoreOptions;
using engine::TaskRef;

namespace {

py::dict row_of(const CheckpointInfo& info) {
  py::dict row;
  row["ref"] = text(info.name);
  row["path"] = text(info.path);
  row["container_id"] = text(info.container_id);
  row["image"] = text(info.image);
  row["runtime"] = text(info.runtime);
  row["tcp"] = text(info.tcp);
  row["created_ns"] = info.created_ns;
  row["size"] = info.size;
  row["labels"] = text_map(info.labels);
  return row;
}

void bind_checkpoint_options(py::module_& module) {
  py::class_<CheckpointPlace>(module, "CheckpointPlace")
      .def(py::init([](std::string name, std::string path) {
             return CheckpointPlace{std::move(name), std::move(path)};
           }),
           py::arg("name"), py::arg("path"));
  py::class_<CheckpointOptions>(module, "CheckpointOptions")
      .def(py::init<>())
      .def_readwrite("to", &CheckpointOptions::to)
      .def_readwrite("exit", &CheckpointOptions::exit)
      .def_readwrite("tcp", &CheckpointOptions::tcp)
      .def_readwrite("unix_sockets", &CheckpointOptions::unix_sockets)
      .def_readwrite("terminal", &CheckpointOptions::terminal)
      .def_readwrite("file_locks", &CheckpointOptions::file_locks)
      .def_readwrite("empty_namespaces", &CheckpointOptions::empty_namespaces)
      .def_readwrite("labels", &CheckpointOptions::labels);
  py::class_<RestoreOptions>(module, "RestoreOptions")
      .def(py::init<>())
      .def_readwrite("source", &RestoreOptions::from)
      .def_readwrite("id", &RestoreOptions::id)
      .def_readwrite("replace", &RestoreOptions::replace)
      .def_readwrite("detached", &RestoreOptions::detached)
      .def_readwrite("delete_on_exit", &RestoreOptions::delete_on_exit)
      .def_readwrite("hostname", &RestoreOptions::hostname)
      .def_readwrite("labels", &RestoreOptions::labels)
      .def_readwrite("runtime", &RestoreOptions::runtime)
      .def_readwrite("tcp", &RestoreOptions::tcp)
      .def_readwrite("allow_untrusted", &RestoreOptions::allow_untrusted)
      .def_readwrite("allow_other_kernel", &RestoreOptions::allow_other_kernel);
}

py::tuple create_restored_task(Engine& self, const std::string& ns, const std::string& id,
                               const StdioRow& stdio, const RestoreOptions& options) {
  const engine::Stdio chosen = to_stdio(stdio);
  const TaskRef ref{ns, id, {}};
  return to_row(call("create_task", {}, [&](const Wait& wait) {
    return engine::create_restored_task(self, ref, chosen, options, wait);
  }));
}

// A row for each: an (info, task) or an exception.
py::list fork_task(Engine& self, const std::string& ns, const std::string& id,
                   const std::string& instance, std::vector<std::string> ids, bool keep_going) {
  const TaskRef ref{ns, id, instance};
  const engine::ForkOptions options{std::move(ids), keep_going};
  auto copies = call("fork", {},
                     [&](const Wait& wait) { return engine::fork_task(self, ref, options, wait); });
  py::list rows;
  for (engine::Forked& copy : copies) {
    if (copy.failure && copy.failure->find("op").empty()) copy.failure->with("op", "fork");
    if (copy.failure)
      rows.append(to_exception(*copy.failure));
    else
      rows.append(py::make_tuple(to_row(copy.container), to_row(std::move(copy.task))));
  }
  return rows;
}

void bind_stored(py::module_& module) {
  module.def(
      "get_checkpoint",
      [](Engine& self, const std::string& ns, const CheckpointPlace& place) {
        return row_of(call("get", {}, [&](const Wait& wait) {
          return engine::get_checkpoint(self, ns, place, wait);
        }));
      },
      py::arg("engine"), py::arg("ns"), py::arg("place"));
  module.def(
      "copy_checkpoint",
      [](Engine& self, const std::string& ns, const CheckpointPlace& from,
         const CheckpointPlace& to) {
        return row_of(call("copy", {}, [&](const Wait& wait) {
          return engine::copy_checkpoint(self, ns, from, to, wait);
        }));
      },
      py::arg("engine"), py::arg("ns"), py::arg("source"), py::arg("to"));
  module.def(
      "list_checkpoints",
      [](Engine& self, const std::string& ns, const std::vector<std::string>& filters) {
        const auto all = call("list", {}, [&](const Wait& wait) {
          return engine::list_checkpoints(self, ns, filters, wait);
        });
        py::list rows;
        for (const CheckpointInfo& info : all) rows.append(row_of(info));
        return rows;
      },
      py::arg("engine"), py::arg("ns"), py::arg("filters"));
  module.def(
      "delete_checkpoint",
      [](Engine& self, const std::string& ns, const std::string& name, bool missing_ok) {
        return call("delete", {}, [&](const Wait& wait) {
          return engine::delete_checkpoint(self, ns, name, missing_ok, wait);
        });
      },
      py::arg("engine"), py::arg("ns"), py::arg("name"), py::arg("missing_ok"));
}

}  // namespace

void bind_checkpoints(py::module_& module);  // module.cpp calls it

void bind_checkpoints(py::module_& module) {
  bind_checkpoint_options(module);
  bind_stored(module);
  module.def(
      "checkpoint_task",
      [](Engine& self, const std::string& ns, const std::string& id, const std::string& instance,
         const CheckpointOptions& options) {
        const TaskRef ref{ns, id, instance};
        return row_of(call("checkpoint", {}, [&](const Wait& wait) {
          return engine::checkpoint_task(self, ref, options, wait);
        }));
      },
      py::arg("engine"), py::arg("ns"), py::arg("id"), py::arg("instance"), py::arg("options"));
  module.def(
      "checkpoint_problems",
      [](Engine& self, const std::string& ns, const std::string& id, const std::string& instance,
         const CheckpointOptions& options) {
        const TaskRef ref{ns, id, instance};
        py::list rows;
        for (const auto& one : call("checkpoint", {}, [&](const Wait& wait) {
               return engine::checkpoint_problems(self, ref, options, wait);
             }))
          rows.append(py::make_tuple(one.kind, one.pid, text(one.what), one.option, one.is_fatal));
        return rows;
      },
      py::arg("engine"), py::arg("ns"), py::arg("id"), py::arg("instance"), py::arg("options"));
  module.def(
      "restore_container",
      [](Engine& self, const std::string& ns, const RestoreOptions& options) {
        return to_row(call("restore", {}, [&](const Wait& wait) {
          return engine::restore_container(self, ns, options, wait);
        }));
      },
      py::arg("engine"), py::arg("ns"), py::arg("options"));
  module.def("fork_task", fork_task, py::arg("engine"), py::arg("ns"), py::arg("id"),
             py::arg("instance"), py::arg("ids"), py::arg("keep_going"));
  module.def("create_restored_task", create_restored_task, py::arg("engine"), py::arg("ns"),
             py::arg("id"), py::arg("stdio"), py::arg("options"));
}

}  // namespace ctrd::bindings
