// SPDX-License-Identifier: Apache-2.0
// The engine's values as plain tuples, in the order of python/ctrd/_core.pyi. Python makes its
// dataclasses of them: a tuple is the cheapest thing to cross with, and a list of 10,000 containers
// crosses in one call.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "bindings/pybind.h"

namespace ctrd::bindings {

// A str of foreign bytes: what is not UTF-8 becomes U+FFFD, never an exception.
py::str text(std::string_view bytes);
// The exception that Python would see thrown, as a value.
py::object to_exception(const Error& error);
py::dict text_map(const std::map<std::string, std::string>& values);

// stdin, stdout, stderr: a Std, or the absolute path of a file.
using StdioRow = std::array<std::variant<int, std::string>, 3>;
engine::Stdio to_stdio(const StdioRow& row);

py::object to_row(const std::optional<engine::ExitStatus>& exit);  // None if there is none
py::tuple to_row(const engine::ContainerInfo& info);
py::tuple to_row(engine::NewTask task);  // Python owns its descriptors from here on
py::tuple to_row(const engine::TaskState& state);
py::tuple to_row(const engine::TaskInfo& info);
py::tuple to_row(const engine::TaskStats& stats);
py::tuple to_row(const engine::TaskProcess& process);
py::tuple to_row(const engine::RunResult& result);
py::tuple to_row(const engine::Check& check);
py::tuple to_row(const engine::LogLine& line);
py::tuple to_row(const engine::EventInfo& event);
py::tuple to_row(const metadata::Blob& blob);
py::tuple to_row(const content::IngestStatus& status);

template <class T>
py::list to_rows(const std::vector<T>& values) {
  py::list rows(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) rows[i] = to_row(values[i]);
  return rows;
}

}  // namespace ctrd::bindings
