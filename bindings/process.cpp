// SPDX-License-Identifier: Apache-2.0
// The verbs of one process of a task. It is named by (ns, id, instance, exec, pid): the id of an
// exec, or a host pid if that is not 0.
#include "bindings/call.h"
#include "bindings/rows.h"

namespace ctrd::bindings {

using engine::Engine;
using engine::ExecOptions;
using engine::ProcessRef;
using engine::TaskRef;

namespace {

using Id = const std::string&;

// A method that takes a process and more: `verb` is its name in Python and the error's .op. The
// body is f(engine, process, verb, more...).
template <class... More, class F, class... Extra>
void def_process(PyEngine& cls, const char* name, const char* verb, F body, Extra... extra) {
  cls.def(
      name,
      [verb, body](Engine& self, Id ns, Id id, Id instance, Id exec, int pid, More... more) {
        const ProcessRef process{{ns, id, instance}, exec, pid};
        return body(self, process, verb, more...);
      },
      py::arg("ns"), py::arg("id"), py::arg("instance"), py::arg("exec"), py::arg("pid"), extra...);
}

// A descriptor that Python lends, the one entry of this list: what is left of it (-1: it was
// closed) is there again in the end, whatever happens.
class Lent {
 public:
  explicit Lent(const py::list& place) : end(place[0].cast<int>()), place_(place) {}
  Lent(const Lent&) = delete;
  ~Lent() { PyList_SetItem(place_.ptr(), 0, PyLong_FromLong(end.release())); }

  UniqueFd end;

 private:
  const py::list& place_;
};

// Python owns them from here on.
py::tuple released(UniqueFd& in, UniqueFd& out, UniqueFd& err) {
  auto row = py::make_tuple(in.get(), out.get(), err.get());
  in.release();
  out.release();
  err.release();
  return row;
}

py::tuple exec_process(Engine& self, Id ns, Id id, Id instance, const ExecOptions& options,
                       const StdioRow& stdio) {
  const engine::Stdio chosen = to_stdio(stdio);
  const TaskRef task{ns, id, instance};
  engine::NewProcess made = call(
      "exec", {}, [&](const Wait& wait) { return self.exec_process(task, options, chosen, wait); });
  return py::make_tuple(text(made.id), text(made.instance), made.pid, text(made.io),
                        released(made.in, made.out, made.err));
}

int start_process(Engine& self, Id ns, Id id, Id instance, Id exec, Id io, const py::list& in) {
  const ProcessRef process{{ns, id, instance}, exec, 0};
  Lent lent(in);
  return call("start", {},
              [&](const Wait& wait) { return self.start_process(process, io, &lent.end, wait); });
}

void bind_life(PyEngine& cls) {
  cls.def("exec_process", exec_process, py::arg("ns"), py::arg("id"), py::arg("instance"),
          py::arg("options"), py::arg("stdio"))
      .def("start_process", start_process, py::arg("ns"), py::arg("id"), py::arg("instance"),
           py::arg("exec"), py::arg("io"), py::arg("stdin"));
  def_process<Seconds>(
      cls, "wait_process", "wait",
      [](Engine& self, const ProcessRef& process, const char* verb, Seconds timeout) {
        return to_row(std::optional(call(
            verb, timeout, [&](const Wait& wait) { return self.wait_process(process, wait); })));
      },
      py::arg("timeout"));
  def_process<Id>(
      cls, "delete_process", "delete",
      [](Engine& self, const ProcessRef& process, const char* verb, Id io) {
        return to_row(std::optional(call(
            verb, {}, [&](const Wait& wait) { return self.delete_process(process, io, wait); })));
      },
      py::arg("io"));
}

py::object attach(Engine& self, Id ns, Id id, Id instance, Id exec, int pid,
                  const std::array<int, 3>& own, const py::list& in,
                  const std::array<int, 2>& outputs, const std::string& detach_keys) {
  const ProcessRef process{{ns, id, instance}, exec, pid};
  const engine::AttachOptions options{own[0], own[1], own[2], outputs[0], outputs[1], detach_keys};
  Lent lent(in);
  return to_row(call("attach", {}, [&](const Wait& wait) {
    return self.attach(process, options, &lent.end, wait);
  }));
}

void bind_talk(PyEngine& cls) {
  cls.def("attach", attach, py::arg("ns"), py::arg("id"), py::arg("instance"), py::arg("exec"),
          py::arg("pid"), py::arg("own"), py::arg("stdin"), py::arg("outputs"),
          py::arg("detach_keys"));
  def_process<int>(
      cls, "kill_process", "kill",
      [](Engine& self, const ProcessRef& process, const char* verb, int signal) {
        call(verb, {}, [&](const Wait& wait) { self.kill_process(process, signal, wait); });
      },
      py::arg("signal"));
  def_process(cls, "close_stdin", "close_stdin",
              [](Engine& self, const ProcessRef& process, const char* verb) {
                call(verb, {}, [&](const Wait& wait) { self.close_stdin(process, wait); });
              });
  def_process<uint32_t, uint32_t>(
      cls, "resize", "resize",
      [](Engine& self, const ProcessRef& process, const char* verb, uint32_t cols, uint32_t rows) {
        call(verb, {}, [&](const Wait& wait) { self.resize(process, cols, rows, wait); });
      },
      py::arg("cols"), py::arg("rows"));
}

void bind_look(PyEngine& cls) {
  def_process(
      cls, "poll_process", "poll", [](Engine& self, const ProcessRef& process, const char* verb) {
        return to_row(
            call(verb, {}, [&](const Wait& wait) { return self.poll_process(process, wait); }));
      });
  def_process(
      cls, "process_state", "state", [](Engine& self, const ProcessRef& process, const char* verb) {
        return to_row(
            call(verb, {}, [&](const Wait& wait) { return self.process_state(process, wait); }));
      });
  def_process(
      cls, "park_wait", "fileno", [](Engine& self, const ProcessRef& process, const char* verb) {
        return call(verb, {}, [&](const Wait& wait) { return self.park_wait(process, wait); })
            .release();
      });
  def_process(
      cls, "find_process", "get_process",
      [](Engine& self, const ProcessRef& process, const char* verb) {
        const auto found =
            call(verb, {}, [&](const Wait& wait) { return self.find_process(process, wait); });
        return py::make_tuple(text(found.id), text(found.instance), found.pid, text(found.json));
      });
}

}  // namespace

void bind_exec_options(py::module_& module) {
  py::class_<ExecOptions> cls(module, "ExecOptions");
  const auto member = [&](const char* name, auto field) {
    using T = std::remove_reference_t<decltype(std::declval<oci::ExecOptions>().*field)>;
    cls.def_property(
        name, [field](const ExecOptions& self) -> const T& { return self.process.*field; },
        [field](ExecOptions& self, T value) { self.process.*field = std::move(value); });
  };
  cls.def(py::init<>())
      .def_readwrite("id", &ExecOptions::id)
      .def_readwrite("start", &ExecOptions::start)
      .def(
          "set_timeout",
          [](ExecOptions& self, double seconds) { self.timeout_ns = to_nanos(seconds).count(); },
          py::arg("seconds"));
  member("args", &oci::ExecOptions::args);
  member("env", &oci::ExecOptions::env);
  member("cwd", &oci::ExecOptions::cwd);
  member("user", &oci::ExecOptions::user);
  member("tty", &oci::ExecOptions::tty);
  member("console_size", &oci::ExecOptions::console_size);
  member("cap_add", &oci::ExecOptions::cap_add);
}

void bind_processes(PyEngine& cls) {
  bind_life(cls);
  bind_talk(cls);
  bind_look(cls);
}

}  // namespace ctrd::bindings
