// SPDX-License-Identifier: Apache-2.0
// Events by name: which member holds which field, and what users see of them.
#include "api/event.h"

#include <gtest/gtest.h>

#include "api/event_fields.h"
#include "api/oracle.h"
#include "base/identifier.h"
#include "event.pb.h"

namespace ctrd::api {
namespace {

namespace pb = google::protobuf;
namespace ev = containerd::events;

std::string text_of(const pb::Message& message, const pb::FieldDescriptor* field) {
  const pb::Reflection* r = message.GetReflection();
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return r->GetString(message, field);
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(r->GetUInt32(message, field));
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return r->GetBool(message, field) ? "true" : "false";
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(r->GetInt64(message, field));
    default:
      return {};
  }
}

void expect_same(const EventFields& ours, const pb::Message& theirs, const std::string& what) {
  const pb::Descriptor* type = theirs.GetDescriptor();
  ASSERT_EQ(ours.size(), static_cast<std::size_t>(type->field_count())) << what;
  for (int i = 0; i < type->field_count(); ++i) {
    const pb::FieldDescriptor* field = type->field(i);
    const auto& [name, value] = ours[static_cast<std::size_t>(i)];
    EXPECT_EQ(name, field->name()) << what;
    if (field->is_repeated()) continue;
    EXPECT_EQ(field_text(value), text_of(theirs, field)) << what << "." << name;
    const auto* below = std::get_if<EventFields>(&value.value);
    if (below) expect_same(*below, theirs.GetReflection()->GetMessage(theirs, field), name);
  }
}

// protoc's class of each message, filled.
std::vector<std::unique_ptr<pb::Message>> filled_events() {
  std::vector<std::unique_ptr<pb::Message>> messages;
  for (const Codec& codec : codecs()) {
    auto message = codec.make();
    if (topic_of(message->GetDescriptor()->full_name()).empty()) continue;
    fill(*message);
    messages.push_back(std::move(message));
  }
  return messages;
}

TEST(Event, FieldsHaveContainerdsNamesAndTheirOwnValues) {
  auto messages = filled_events();
  EXPECT_EQ(messages.size(), 21u);
  for (const auto& message : messages) {
    std::string type = message->GetDescriptor()->full_name();
    expect_same(describe({type, message->SerializeAsString()}), *message, type);
  }
}

TEST(Event, TopicsAreOnesThatContainerdTakes) {
  for (const auto& message : filled_events()) {
    std::string_view topic = topic_of(message->GetDescriptor()->full_name());
    ASSERT_TRUE(topic.starts_with('/'));
    topic.remove_prefix(1);
    EXPECT_TRUE(is_identifier(topic.substr(0, topic.find('/')))) << topic;
    EXPECT_TRUE(is_identifier(topic.substr(topic.find('/') + 1))) << topic;
  }
  EXPECT_EQ(topic_of("containerd.events.TaskExit"), "/tasks/exit");
  EXPECT_EQ(topic_of("containerd.events.Nothing"), "");
  EXPECT_EQ(topic_of("TaskExit"), "");
}

TEST(Event, TimesListsMapsAndNestedMessages) {
  TaskCreate create;
  create.container_id = "x";
  create.rootfs = {{.type = "overlay", .source = "o", .target = "", .options = {"lowerdir=/a"}}};
  create.io.stdout_path = "log:";
  EventFields fields = describe({"containerd.events.TaskCreate", encode(create)});
  EXPECT_EQ(field_text(*find_field(fields, "io.stdout")), "log:");
  EXPECT_EQ(find_field(fields, "io.nothing"), nullptr);
  EXPECT_EQ(find_field(fields, "container_id.x"), nullptr);
  const auto& mounts = std::get<std::vector<EventValue>>(find_field(fields, "rootfs")->value);
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(field_text(*find_field(std::get<EventFields>(mounts[0].value), "type")), "overlay");

  TaskExit exit{.container_id = "x", .id = "x", .pid = 3, .exit_status = 137, .exited_ns = 5};
  fields = describe({"containerd.events.TaskExit", encode(exit)});
  EXPECT_EQ(std::get<EventTime>(find_field(fields, "exited_at")->value).ns, 5);
  EXPECT_EQ(std::get<int64_t>(find_field(fields, "exit_status")->value), 137);

  ContainerUpdate update{.id = "x", .image = "", .labels = {{"a.b/c", "v"}}, .snapshot_key = "x"};
  fields = describe({"containerd.events.ContainerUpdate", encode(update)});
  EXPECT_EQ(field_text(*find_field(fields, "labels.a.b/c")), "v");
}

TEST(Event, WhatNobodyKnowsHasNoFields) {
  EXPECT_TRUE(describe({"containerd.events.New", "\x0a\x01x"}).empty());
  EXPECT_TRUE(describe({"containerd.events.TaskExit", "\xff"}).empty());
  EXPECT_TRUE(describe({}).empty());
}

TEST(Event, AnEventIsMadeNowAndHasAnIdOfItsOwn) {
  Event one = make_event("ns", TaskOOM{"x"}), two = make_event("ns", TaskOOM{"x"});
  EXPECT_NE(one.id, two.id);
  EXPECT_EQ(one.topic, "/tasks/oom");
  EXPECT_EQ(one.ns, "ns");
  EXPECT_EQ(one.event.type_url, "containerd.events.TaskOOM");
  EXPECT_GT(one.time_ns, 1'600'000'000'000'000'000);
  ev::Envelope envelope;
  ASSERT_TRUE(envelope.ParseFromString(encode(one)));
  EXPECT_EQ(envelope.id(), one.id);
  EXPECT_EQ(envelope.topic(), "/tasks/oom");
}

TEST(Event, TheIdOfWhatHappensOnceIsKnown) {
  EXPECT_EQ(event_id("0123456789abcdef", "/tasks/exit"),
            event_id("0123456789abcdef", "/tasks/exit"));
  EXPECT_NE(event_id("0123456789abcdef", "/tasks/exit"),
            event_id("0123456789abcdef", "/tasks/start"));
  EXPECT_NE(event_id("0123456789abcdef", "/tasks/exit"),
            event_id("1123456789abcdef", "/tasks/exit"));
  EXPECT_EQ(event_id("", "").size(), 16u);
}

}  // namespace
}  // namespace ctrd::api
