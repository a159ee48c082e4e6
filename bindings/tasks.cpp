// SPDX-License-Identifier: Apache-2.0
// The verbs of a task. A task is named by (ns, id, instance); instance "" is whichever the
// container has now.
#include "bindings/call.h"
#include "bindings/rows.h"

namespace ctrd::bindings {

using engine::Engine;
using engine::TaskRef;

namespace {

// A method that takes a task and nothing else: `verb` is its name in Python and the error's .op.
template <class F>
void def_task(PyEngine& cls, const char* name, const char* verb, F body) {
  cls.def(
      name,
      [verb, body](Engine& self, std::string ns, std::string id, std::string instance) {
        const TaskRef task{std::move(ns), std::move(id), std::move(instance)};
        return body(self, task, verb);
      },
      py::arg("ns"), py::arg("id"), py::arg("instance"));
}

py::tuple create_task(Engine& self, const std::string& ns, const std::string& id,
                      const StdioRow& stdio, bool replace_stopped) {
  const engine::Stdio chosen = to_stdio(stdio);
  return to_row(call("create_task", {}, [&](const Wait& wait) {
    return self.create_task(ns, id, chosen, replace_stopped, wait);
  }));
}

void bind_life(PyEngine& cls) {
  cls.def("create_task", create_task, py::arg("ns"), py::arg("id"), py::arg("stdio"),
          py::arg("replace_stopped"));
  def_task(cls, "start_task", "start", [](Engine& self, const TaskRef& task, const char* verb) {
    call(verb, {}, [&](const Wait& wait) { self.start_task(task, wait); });
  });
  cls.def(
      "limit_task",
      [](Engine& self, const std::string& ns, const std::string& id, const std::string& instance,
         double timeout) {
        const TaskRef task{ns, id, instance};
        call("start", {},
             [&](const Wait& wait) { self.limit_task(task, to_nanos(timeout), wait); });
      },
      py::arg("ns"), py::arg("id"), py::arg("instance"), py::arg("timeout"));
  cls.def(
      "delete_task",
      [](Engine& self, const std::string& ns, const std::string& id, const std::string& instance,
         bool force) {
        const TaskRef task{ns, id, instance};
        return to_row(std::optional(call(
            "delete", {}, [&](const Wait& wait) { return self.delete_task(task, force, wait); })));
      },
      py::arg("ns"), py::arg("id"), py::arg("instance"), py::arg("force"));
}

void bind_end(PyEngine& cls) {
  cls.def(
         "wait_task",
         [](Engine& self, const std::string& ns, const std::string& id, const std::string& instance,
            Seconds timeout) {
           const TaskRef task{ns, id, instance};
           return to_row(std::optional(call(
               "wait", timeout, [&](const Wait& wait) { return self.wait_task(task, wait); })));
         },
         py::arg("ns"), py::arg("id"), py::arg("instance"), py::arg("timeout"))
      .def(
          "kill_task",
          [](Engine& self, const std::string& ns, const std::string& id,
             const std::string& instance, int signal, std::optional<int> pid, bool all) {
            const TaskRef task{ns, id, instance};
            call("kill", {},
                 [&](const Wait& wait) { self.kill_task(task, signal, pid, all, wait); });
          },
          py::arg("ns"), py::arg("id"), py::arg("instance"), py::arg("signal"), py::arg("pid"),
          py::arg("all"))
      .def(
          "stop_task",
          [](Engine& self, const std::string& ns, const std::string& id,
             const std::string& instance, int signal, double grace) {
            const TaskRef task{ns, id, instance};
            return to_row(std::optional(call("stop", {}, [&](const Wait& wait) {
              return self.stop_task(task, signal, to_nanos(grace), wait);
            })));
          },
          py::arg("ns"), py::arg("id"), py::arg("instance"), py::arg("signal"), py::arg("grace"));
}

void bind_pause(PyEngine& cls) {
  def_task(cls, "pause_task", "pause", [](Engine& self, const TaskRef& task, const char* verb) {
    call(verb, {}, [&](const Wait& wait) { self.pause_task(task, wait); });
  });
  def_task(cls, "resume_task", "resume", [](Engine& self, const TaskRef& task, const char* verb) {
    call(verb, {}, [&](const Wait& wait) { self.resume_task(task, wait); });
  });
}

void bind_look(PyEngine& cls) {
  def_task(cls, "poll_task", "poll", [](Engine& self, const TaskRef& task, const char* verb) {
    return to_row(call(verb, {}, [&](const Wait& wait) { return self.poll_task(task, wait); }));
  });
  def_task(cls, "task_state", "state", [](Engine& self, const TaskRef& task, const char* verb) {
    return to_row(call(verb, {}, [&](const Wait& wait) { return self.task_state(task, wait); }));
  });
  def_task(cls, "task_info", "info", [](Engine& self, const TaskRef& task, const char* verb) {
    return to_row(call(verb, {}, [&](const Wait& wait) { return self.task_info(task, wait); }));
  });
  def_task(cls, "task_stats", "stats", [](Engine& self, const TaskRef& task, const char* verb) {
    return to_row(call(verb, {}, [&](const Wait& wait) { return self.task_stats(task, wait); }));
  });
  def_task(cls, "task_processes", "processes",
           [](Engine& self, const TaskRef& task, const char* verb) {
             return to_rows(
                 call(verb, {}, [&](const Wait& wait) { return self.task_processes(task, wait); }));
           });
  cls.def(
      "status",
      [](Engine& self, const std::string& ns, const std::string& id) {
        return static_cast<int>(
            call("status", {}, [&](const Wait& wait) { return self.status(ns, id, wait); }));
      },
      py::arg("ns"), py::arg("id"));
}

}  // namespace

void bind_tasks(PyEngine& cls) {
  bind_life(cls);
  bind_end(cls);
  bind_pause(cls);
  bind_look(cls);
}

}  // namespace ctrd::bindings
