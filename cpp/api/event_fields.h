// SPDX-License-Identifier: Apache-2.0
// An event's message as names and values, for those who know no messages: users and their filters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "api/task.h"

namespace ctrd::api {

struct EventValue;
using EventFields = std::vector<std::pair<std::string, EventValue>>;  // in the message's order
struct EventTime {
  int64_t ns = kNotYet;  // since 1970
};
struct EventValue {
  std::variant<std::string, int64_t, bool, EventTime, std::vector<EventValue>, EventFields> value;
};

// Every field of the message, defaults too, by containerd's names. Empty for a type that
// api/event.h does not know, and for bytes that are no such message.
EventFields describe(const Any& event);
// "io.stdin": a value below nested messages, a label too; nullptr if there is none.
const EventValue* find_field(const EventFields& fields, std::string_view path);
// As filters compare it: numbers in digits, true and false; "" for what is no single value.
std::string field_text(const EventValue& value);

}  // namespace ctrd::api
