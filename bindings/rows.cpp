// SPDX-License-Identifier: Apache-2.0
#include "bindings/rows.h"

#include "engine/runtime_options.h"

namespace ctrd::bindings {
namespace {

py::bytes raw(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

template <class Strings>
py::tuple texts(const Strings& values) {
  py::tuple made(values.size());
  std::size_t i = 0;
  for (const auto& value : values) made[i++] = text(value);
  return made;
}

}  // namespace

py::dict text_map(const std::map<std::string, std::string>& values) {
  py::dict made;
  for (const auto& [key, value] : values) made[text(key)] = text(value);
  return made;
}

py::str text(std::string_view bytes) {
  PyObject* made =
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace");
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(made);
}

engine::Stdio to_stdio(const StdioRow& row) {
  engine::Stdio stdio;
  const auto set = [](const std::variant<int, std::string>& given, engine::Std& std,
                      std::string& path) {
    const auto* number = std::get_if<int>(&given);
    std = number != nullptr ? static_cast<engine::Std>(*number) : engine::Std::kFile;
    if (number == nullptr) path = std::get<std::string>(given);
  };
  set(row[0], stdio.in, stdio.in_path);
  set(row[1], stdio.out, stdio.out_path);
  set(row[2], stdio.err, stdio.err_path);
  return stdio;
}

py::object to_row(const std::optional<engine::ExitStatus>& exit) {
  if (!exit) return py::none();
  return py::make_tuple(exit->status, exit->signal, exit->started_ns, exit->exited_ns,
                        exit->oom_killed, exit->timed_out, exit->escalated, exit->output_cut,
                        static_cast<int>(exit->lost));
}

// As Python gave them: runc's by name, those that are set; others with their type.
py::object options_row(const api::Any& options) {
  if (options == api::Any()) return py::none();
  py::dict made;
  if (const auto known = engine::runc_options(options)) {
    if (known->no_pivot_root) made["no_pivot_root"] = true;
    if (known->no_new_keyring) made["no_new_keyring"] = true;
    if (known->io_uid != 0) made["io_uid"] = known->io_uid;
    if (known->io_gid != 0) made["io_gid"] = known->io_gid;
    if (!known->binary_name.empty()) made["binary_name"] = text(known->binary_name);
    return made;
  }
  made["type_url"] = text(options.type_url);
  made["value"] = raw(options.value);
  return made;
}

py::tuple to_row(const engine::ContainerInfo& info) {
  return py::make_tuple(text(info.id), text(info.image), text(info.rootfs), text_map(info.labels),
                        text_map(info.annotations), info.created_ns, info.updated_ns,
                        text(info.runtime), text(info.snapshotter), text(info.snapshot_key),
                        info.detached, info.owner_pid, static_cast<int>(info.status), info.pid,
                        to_row(info.exit), text_map(info.extensions), text(info.runtime_name),
                        options_row(info.runtime_options), text(info.sandbox_id));
}

py::tuple to_row(engine::NewTask task) {
  auto row =
      py::make_tuple(text(task.instance), task.pid, task.in.get(), task.out.get(), task.err.get());
  task.in.release();
  task.out.release();
  task.err.release();
  return row;
}

py::tuple to_row(const engine::TaskState& state) {
  return py::make_tuple(static_cast<int>(state.status), state.pid, to_row(state.exit), state.tty);
}

py::tuple to_row(const engine::TaskInfo& info) {
  return py::make_tuple(text(info.container_id), text(info.instance), text(info.runtime),
                        text(info.spec));
}

py::tuple to_row(const engine::TaskStats& stats) {
  const CgroupStats& all = stats.figures;
  const auto& [cpu, memory, io] = std::tie(all.cpu, all.memory, all.io);
  return py::make_tuple(text(stats.instance), all.time_ns,
                        py::make_tuple(cpu.usage, cpu.user, cpu.system, cpu.throttled),
                        py::make_tuple(memory.usage, memory.limit, memory.peak, memory.cache,
                                       memory.swap, memory.oom_kills),
                        py::make_tuple(all.pids.current, all.pids.limit),
                        py::make_tuple(io.read_bytes, io.write_bytes, io.reads, io.writes),
                        text_map(all.raw));
}

py::tuple to_row(const engine::TaskProcess& process) {
  const ProcessFacts& facts = process.facts;
  return py::make_tuple(facts.pid, facts.ppid, texts(facts.args), text(process.exec_id), facts.uid,
                        facts.rss_bytes, facts.cpu_seconds);
}

py::tuple to_row(const engine::RunResult& result) {
  return py::make_tuple(texts(result.args), to_row(std::optional(result.exit)), raw(result.out),
                        raw(result.err), result.truncated, text(result.container_id),
                        text(result.image));
}

py::tuple to_row(const engine::Check& check) {
  return py::make_tuple(text(check.name), check.ok, text(check.found), text(check.hint),
                        check.needed);
}

py::dict event_fields(const api::EventFields& fields);

// Times are (ns,): Python makes its datetime of them.
struct ToPython {
  py::object operator()(const std::string& value) const { return text(value); }
  py::object operator()(int64_t value) const { return py::int_(value); }
  py::object operator()(bool value) const { return py::bool_(value); }
  py::object operator()(const api::EventTime& time) const { return py::make_tuple(time.ns); }
  py::object operator()(const std::vector<api::EventValue>& values) const {
    py::list list;
    for (const auto& one : values) list.append(std::visit(*this, one.value));
    return list;
  }
  py::object operator()(const api::EventFields& fields) const { return event_fields(fields); }
};

py::dict event_fields(const api::EventFields& fields) {
  py::dict made;
  for (const auto& [name, field] : fields) made[text(name)] = std::visit(ToPython(), field.value);
  return made;
}

py::tuple to_row(const engine::EventInfo& event) {
  return py::make_tuple(event.seq, text(event.topic), text(event.ns), event.time_ns,
                        event_fields(event.fields));
}

py::tuple to_row(const engine::LogLine& line) {
  return py::make_tuple(line.seq, line.time_ns, line.stream, raw(line.data), line.partial);
}

py::tuple to_row(const metadata::Blob& blob) {
  return py::make_tuple(text(blob.digest), blob.size, text_map(blob.labels), blob.created_ns,
                        blob.updated_ns);
}

py::tuple to_row(const content::IngestStatus& status) {
  return py::make_tuple(text(status.ref), status.offset, status.total, status.started_ns,
                        status.updated_ns);
}

}  // namespace ctrd::bindings
