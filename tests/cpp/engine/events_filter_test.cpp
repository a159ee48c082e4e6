// SPDX-License-Identifier: Apache-2.0
#include "engine/events_filter.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctrd::engine {
namespace {

EventInfo exit_of(const std::string& id, int64_t status) {
  EventInfo event{.seq = 1, .time_ns = 1, .ns = "default", .topic = "/tasks/exit", .fields = {}};
  event.fields.emplace_back("container_id", api::EventValue{id});
  event.fields.emplace_back("exit_status", api::EventValue{status});
  event.fields.emplace_back("quoted", api::EventValue{std::string("a,\"b\" c")});
  return event;
}

bool matches(const std::string& filter) {
  return EventFilter({filter}).matches(exit_of("db", 137));
}

Code code_of(const std::string& filter) {
  try {
    EventFilter parsed({filter});
  } catch (const Error& error) {
    EXPECT_EQ(error.find("field"), "filter");
    return error.code();
  }
  return Code::kOk;
}

TEST(EventFilter, WhatMatches) {
  for (const char* filter : {"",
                             "topic",
                             "topic==/tasks/exit",
                             "topic==\"/tasks/exit\"",
                             "topic!=/tasks/start",
                             "topic~=^/tasks/",
                             "topic~=exit$",
                             "topic~=/tasks/.*",
                             "topic~=^/tasks/exit$",
                             "topic~=|sks/e|",
                             "topic~=\"exit\"",
                             "topic~=/exit/",
                             "namespace==default",
                             "event.container_id==db",
                             "event.exit_status==137",
                             "event.absent!=x",
                             "topic==/tasks/exit,event.container_id==db,event.exit_status==137",
                             "event.quoted==\"a,\\\"b\\\" c\"",
                             "topic~=^.*$",
                             "event.absent~=^$",
                             "topic~=^/(tasks|containers)/[a-z]+$"})
    EXPECT_TRUE(matches(filter)) << filter;
}

TEST(EventFilter, WhatDoesNot) {
  for (const char* filter :
       {"topic==/tasks/exi", "topic!=/tasks/exit", "topic~=^tasks", "topic~=/tasks/$",
        "topic~=exit.*tasks", "topic~=^/tasks$", "namespace==ci", "event.container_id==d",
        "event.absent", "event.absent==x", "event.exit_status==0",
        "topic==/tasks/exit,event.container_id==web"})
    EXPECT_FALSE(matches(filter)) << filter;
}

TEST(EventFilter, SeveralAreOr) {
  EventFilter either({"event.container_id==web", "event.container_id==db"});
  EXPECT_TRUE(either.matches(exit_of("db", 0)));
  EXPECT_TRUE(either.matches(exit_of("web", 0)));
  EXPECT_FALSE(either.matches(exit_of("other", 0)));
  EXPECT_TRUE(EventFilter({}).matches(exit_of("db", 0)));
}

TEST(EventFilter, WhatIsNoFilter) {
  for (const char* filter :
       {",", "topic=", "topic==", "topic==a,", "topic==a b", "topic==\"a", "foo", "event", "event.",
        "id==x", "topic.x==1", "==x", "topic~=|a", "topic~=["})
    EXPECT_EQ(code_of(filter), Code::kInvalidArgument) << filter;
}

}  // namespace
}  // namespace ctrd::engine
