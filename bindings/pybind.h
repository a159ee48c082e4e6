// SPDX-License-Identifier: Apache-2.0
// The one header through which this room sees pybind11: every unit includes it and nothing else of
// pybind11, so that all of them agree on the type casters (two units with different ones break the
// one-definition rule).
#pragma once

#include <pybind11/functional.h>
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>

#include "engine/engine.h"

namespace ctrd::bindings {

namespace py = pybind11;

using PyEngine = py::class_<engine::Engine, std::shared_ptr<engine::Engine>>;

// One a file; module.cpp calls them.
void bind_errors(py::module_& module);
void bind_log(py::module_& module);
void bind_options(py::module_& module);
void bind_run_options(py::module_& module);
void bind_exec_options(py::module_& module);
void bind_logs(py::module_& module);
void bind_events(py::module_& module);
void bind_content(py::module_& module);
void bind_snapshots(py::module_& module);
void bind_engine(py::module_& module);
void bind_containers(PyEngine& cls);
void bind_namespaces(PyEngine& cls);
void bind_tasks(PyEngine& cls);
void bind_run(PyEngine& cls);
void bind_processes(PyEngine& cls);
void bind_log_reader(PyEngine& cls);
void bind_event_stream(PyEngine& cls);
void bind_content_verbs(PyEngine& cls);
void bind_snapshot_verbs(PyEngine& cls);

}  // namespace ctrd::bindings
