// SPDX-License-Identifier: Apache-2.0
// Engine.run: one crossing for a container's whole life.
#include "bindings/call.h"
#include "bindings/rows.h"

namespace ctrd::bindings {

using engine::Engine;
using engine::RunOptions;

namespace {

// Whoever drops the last copy of the function may not hold the GIL.
std::shared_ptr<py::function> shared(py::function function) {
  return {new py::function(std::move(function)), [](py::function* held) {
            const py::gil_scoped_acquire gil;
            delete held;
          }};
}

void set_write(RunOptions& self, py::function function) {
  self.write = [held = shared(std::move(function))](int stream, std::string_view data) {
    const py::gil_scoped_acquire gil;
    (*held)(stream, py::bytes(data.data(), data.size()));
  };
}

void set_timeout(RunOptions& self, double seconds) { self.timeout_ns = to_nanos(seconds).count(); }

void set_input(RunOptions& self, std::string input) {
  self.input = std::move(input);
  self.has_input = true;
}

void set_sink(RunOptions& self, int stream, RunOptions::Sink sink, int fd) {
  (stream == 1 ? self.out : self.err) = sink;
  (stream == 1 ? self.out_fd : self.err_fd) = fd;
}

// (result, None), or (what there was until then, the message) when the shim ended it at its
// timeout. f(wait, &partial) runs it.
template <class F>
py::tuple run_with(F&& f) {
  engine::RunResult partial;
  try {
    const auto result = call("run", {}, [&](const Wait& wait) { return f(wait, &partial); });
    return py::make_tuple(to_row(result), py::none());
  } catch (const Error& error) {
    if (error.code() != Code::kDeadlineExceeded || error.find("timed_out").empty()) throw;
    return py::make_tuple(to_row(partial), text(error.message()));
  }
}

py::tuple run(Engine& self, const std::string& ns, const engine::CreateOptions& create,
              const RunOptions& options) {
  return run_with([&](const Wait& wait, engine::RunResult* partial) {
    return self.run(ns, create, options, wait, partial);
  });
}

py::tuple run_process(Engine& self, const std::string& ns, const std::string& id,
                      const std::string& instance, const engine::ExecOptions& exec,
                      const RunOptions& options) {
  return run_with([&](const Wait& wait, engine::RunResult* partial) {
    return self.run_process({ns, id, instance}, exec, options, wait, partial);
  });
}

}  // namespace

void bind_run_options(py::module_& module) {
  py::class_<RunOptions> cls(module, "RunOptions");
  py::native_enum<RunOptions::Sink>(cls, "Sink", "enum.Enum")
      .value("CAPTURE", RunOptions::Sink::kCapture)
      .value("DEVNULL", RunOptions::Sink::kDevnull)
      .value("STDOUT", RunOptions::Sink::kStdout)
      .value("FD", RunOptions::Sink::kFd)
      .value("CALL", RunOptions::Sink::kCall)
      .finalize();
  cls.def(py::init<>())
      .def("set_input", set_input, py::arg("input"))
      .def("set_sink", set_sink, py::arg("stream"), py::arg("sink"), py::arg("fd"))
      .def("set_timeout", set_timeout, py::arg("seconds"))
      .def("set_write", set_write, py::arg("write"))
      .def_readwrite("max_output", &RunOptions::max_output);
}

void bind_run(PyEngine& cls) {
  cls.def("run", run, py::arg("ns"), py::arg("create"), py::arg("options"))
      .def("run_process", run_process, py::arg("ns"), py::arg("id"), py::arg("instance"),
           py::arg("exec"), py::arg("options"));
}

}  // namespace ctrd::bindings
