// SPDX-License-Identifier: Apache-2.0
#include "api/oracle.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/timestamp.pb.h>

#include "api/bootstrap.h"
#include "api/bundle.h"
#include "api/checkpoint.h"
#include "api/event.h"
#include "api/metrics.h"
#include "api/runc_options.h"
#include "api/task.h"
#include "containerd.pb.h"
#include "event.pb.h"
#include "metrics.pb.h"
#include "shim.pb.h"
#include "task.pb.h"

namespace ctrd::api {
namespace {

namespace pb = google::protobuf;
namespace v2 = containerd::task::v2;
namespace shim1 = ctrd::shim::v1;
namespace ev = containerd::events;
namespace foreign = ctrd::foreign;
namespace metrics = ctrd::metrics;

template <typename Ours, typename Theirs>
Codec codec(const char* name) {
  return {name, [] { return std::unique_ptr<pb::Message>(new Theirs); },
          [](std::string_view bytes) { return encode(decode<Ours>(bytes)); }};
}

template <typename Theirs, auto decode_it>
Codec file_codec(const char* name) {
  return {name, [] { return std::unique_ptr<pb::Message>(new Theirs); },
          [](std::string_view bytes) {
            return encode_file(decode_it("\x01" + std::string(bytes))).substr(1);
          },
          true};
}

int next_number(int& counter) { return ++counter; }

void fill_message(pb::Message& message, int& counter);

void fill_one(pb::Message& m, const pb::FieldDescriptor* f, int& counter) {
  const pb::Reflection* r = m.GetReflection();
  int n = next_number(counter);
  switch (f->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return r->SetString(&m, f, f->name() + std::to_string(n));
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return r->SetUInt32(&m, f, 0xF0000000u + static_cast<uint32_t>(n));
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return r->SetUInt64(&m, f, ~uint64_t{0} - static_cast<uint64_t>(n));
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return r->SetInt32(&m, f, n);
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return r->SetInt64(&m, f, -n);
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return r->SetBool(&m, f, true);
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return r->SetEnumValue(&m, f,
                             f->enum_type()->value(f->enum_type()->value_count() - 1)->number());
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return fill_message(*r->MutableMessage(&m, f), counter);
    default:
      std::abort();
  }
}

void fill_two(pb::Message& m, const pb::FieldDescriptor* f, int& counter) {
  const pb::Reflection* r = m.GetReflection();
  for (int i = 0; i < 2; ++i) {
    if (f->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING)
      r->AddString(&m, f, f->name() + std::to_string(next_number(counter)));
    else if (f->cpp_type() == pb::FieldDescriptor::CPPTYPE_UINT64)
      r->AddUInt64(&m, f, ~uint64_t{0} - static_cast<uint64_t>(next_number(counter)));
    else
      fill_message(*r->AddMessage(&m, f), counter);
  }
}

void fill_message(pb::Message& message, int& counter) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const pb::FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->is_repeated())
      fill_two(message, field, counter);
    else
      fill_one(message, field, counter);
  }
}

}  // namespace

const std::vector<Codec>& codecs() {
  static const std::vector<Codec> all = {
      codec<Any, pb::Any>("Any"),
      codec<Empty, pb::Empty>("Empty"),
      codec<StateRequest, v2::StateRequest>("StateRequest"),
      codec<StateResponse, v2::StateResponse>("StateResponse"),
      codec<CreateRequest, v2::CreateTaskRequest>("CreateRequest"),
      codec<CreateResponse, v2::CreateTaskResponse>("CreateResponse"),
      codec<StartRequest, v2::StartRequest>("StartRequest"),
      codec<StartResponse, v2::StartResponse>("StartResponse"),
      codec<DeleteRequest, v2::DeleteRequest>("DeleteRequest"),
      codec<DeleteResponse, v2::DeleteResponse>("DeleteResponse"),
      codec<PidsRequest, v2::PidsRequest>("PidsRequest"),
      codec<PidsResponse, v2::PidsResponse>("PidsResponse"),
      codec<PauseRequest, v2::PauseRequest>("PauseRequest"),
      codec<ResumeRequest, v2::ResumeRequest>("ResumeRequest"),
      codec<CheckpointTaskRequest, v2::CheckpointTaskRequest>("CheckpointTaskRequest"),
      codec<KillRequest, v2::KillRequest>("KillRequest"),
      codec<ExecProcessRequest, v2::ExecProcessRequest>("ExecProcessRequest"),
      codec<ResizePtyRequest, v2::ResizePtyRequest>("ResizePtyRequest"),
      codec<CloseIORequest, v2::CloseIORequest>("CloseIORequest"),
      codec<UpdateTaskRequest, v2::UpdateTaskRequest>("UpdateTaskRequest"),
      codec<WaitRequest, v2::WaitRequest>("WaitRequest"),
      codec<WaitResponse, v2::WaitResponse>("WaitResponse"),
      codec<StatsRequest, v2::StatsRequest>("StatsRequest"),
      codec<StatsResponse, v2::StatsResponse>("StatsResponse"),
      codec<ConnectRequest, v2::ConnectRequest>("ConnectRequest"),
      codec<ConnectResponse, v2::ConnectResponse>("ConnectResponse"),
      codec<ShutdownRequest, v2::ShutdownRequest>("ShutdownRequest"),
      codec<InfoResponse, shim1::InfoResponse>("InfoResponse"),
      codec<LimitRequest, shim1::LimitRequest>("LimitRequest"),
      codec<ExitInfo, shim1::ExitInfo>("ExitInfo"),
      codec<ProcessDetails, containerd::v1::types::ProcessDetails>("ProcessDetails"),
      codec<Event, ev::Envelope>("Event"),
      codec<ContainerCreate, ev::ContainerCreate>("ContainerCreate"),
      codec<ContainerUpdate, ev::ContainerUpdate>("ContainerUpdate"),
      codec<ContainerDelete, ev::ContainerDelete>("ContainerDelete"),
      codec<NamespaceCreate, ev::NamespaceCreate>("NamespaceCreate"),
      codec<NamespaceUpdate, ev::NamespaceUpdate>("NamespaceUpdate"),
      codec<NamespaceDelete, ev::NamespaceDelete>("NamespaceDelete"),
      codec<SnapshotPrepare, ev::SnapshotPrepare>("SnapshotPrepare"),
      codec<SnapshotCommit, ev::SnapshotCommit>("SnapshotCommit"),
      codec<SnapshotRemove, ev::SnapshotRemove>("SnapshotRemove"),
      codec<ContentCreate, ev::ContentCreate>("ContentCreate"),
      codec<ContentDelete, ev::ContentDelete>("ContentDelete"),
      codec<TaskCreate, ev::TaskCreate>("TaskCreate"),
      codec<TaskStart, ev::TaskStart>("TaskStart"),
      codec<TaskExit, ev::TaskExit>("TaskExit"),
      codec<TaskDelete, ev::TaskDelete>("TaskDelete"),
      codec<TaskOOM, ev::TaskOOM>("TaskOOM"),
      codec<TaskExecAdded, ev::TaskExecAdded>("TaskExecAdded"),
      codec<TaskExecStarted, ev::TaskExecStarted>("TaskExecStarted"),
      codec<TaskPaused, ev::TaskPaused>("TaskPaused"),
      codec<TaskResumed, ev::TaskResumed>("TaskResumed"),
      codec<TaskCheckpointed, ev::TaskCheckpointed>("TaskCheckpointed"),
      codec<MetricsV1, metrics::MetricsV1>("MetricsV1"),
      codec<MetricsV2, metrics::MetricsV2>("MetricsV2"),
      codec<RuncOptions, foreign::RuncOptions>("RuncOptions"),
      codec<RuncCreateOptions, foreign::RuncCreateOptions>("RuncCreateOptions"),
      codec<LinuxRuncOptions, foreign::LinuxRuncOptions>("LinuxRuncOptions"),
      codec<CheckpointOptions, foreign::CheckpointOptions>("CheckpointOptions"),
      codec<LinuxCheckpointOptions, foreign::LinuxCheckpointOptions>("LinuxCheckpointOptions"),
      codec<CriuOptions, shim1::CriuOptions>("CriuOptions"),
      codec<HoldRequest, shim1::HoldRequest>("HoldRequest"),
      codec<RuntimeOptions, foreign::RuntimeOptions>("RuntimeOptions"),
      codec<BootstrapParams, foreign::BootstrapParams>("BootstrapParams"),
      codec<BootstrapResult, foreign::BootstrapResult>("BootstrapResult"),
      codec<RuntimeInfo, foreign::RuntimeInfo>("RuntimeInfo"),
      codec<Options, shim1::Options>("Options"),
      file_codec<shim1::StatusFile, decode_status_file>("StatusFile"),
      file_codec<shim1::ExitFile, decode_exit_file>("ExitFile"),
  };
  return all;
}

void fill(pb::Message& message) {
  int counter = 0;
  fill_message(message, counter);
}

static void add_empty_metrics(pb::Message& message) {
  if (message.GetDescriptor() == metrics::MetricsV1::descriptor()) {
    auto& v1 = static_cast<metrics::MetricsV1&>(message);
    v1.mutable_cpu()->mutable_usage();
    v1.mutable_memory()->mutable_usage();
  } else if (message.GetDescriptor() == metrics::MetricsV2::descriptor()) {
    auto& v2 = static_cast<metrics::MetricsV2&>(message);
    v2.mutable_cpu();
    v2.mutable_memory();
  }
}

void add_always_written(pb::Message& message) {
  const pb::Reflection* reflection = message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const pb::FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->message_type() != pb::Timestamp::descriptor()) continue;
    if (reflection->HasField(message, field)) continue;
    static_cast<pb::Timestamp*>(reflection->MutableMessage(&message, field))
        ->set_seconds(-62135596800);
  }
  add_empty_metrics(message);
  if (message.GetDescriptor() != shim1::Options::descriptor()) return;
  auto& options = static_cast<shim1::Options&>(message);
  if (!options.has_log_max()) options.set_log_max(64 << 20);
  if (!options.has_drain_ns()) options.set_drain_ns(2'000'000'000);
}

std::string serialized(const pb::Message& message) {
  std::string bytes;
  {
    pb::io::StringOutputStream stream(&bytes);
    pb::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&out);
  }
  return bytes;
}

}  // namespace ctrd::api
