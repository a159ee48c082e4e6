// SPDX-License-Identifier: Apache-2.0
#include "api/event_fields.h"

#include "api/event.h"
#include "api/event_messages.h"
#include "base/error.h"

namespace ctrd::api {
namespace {

// The third visitor of a message's fields(): what it meets gets the next name.
class Namer {
 public:
  Namer(EventFields& out, const std::string_view* names) : out_(out), names_(names) {}

  template <typename T>
  void operator()(uint32_t, const T& value) {
    add(to_value(value));
  }
  void bytes(uint32_t, const std::string& value) { add({value}); }
  void time(uint32_t, int64_t ns) { add({EventTime{ns}}); }

 private:
  void add(EventValue value) { out_.emplace_back(*names_++, std::move(value)); }
  static EventValue to_value(const std::string& value) { return {value}; }
  static EventValue to_value(bool value) { return {value}; }
  static EventValue to_value(int64_t value) { return {value}; }
  static EventValue to_value(uint32_t value) { return {int64_t{value}}; }
  static EventValue to_value(const std::map<std::string, std::string>& map) {
    EventFields entries;
    for (const auto& [key, value] : map) entries.emplace_back(key, EventValue{value});
    return {std::move(entries)};
  }
  template <typename T>
  static EventValue to_value(const std::vector<T>& values) {
    std::vector<EventValue> list;
    list.reserve(values.size());
    for (const T& value : values) list.push_back(to_value(value));
    return {std::move(list)};
  }
  template <ttrpc::Message T>
  static EventValue to_value(const T& message) {
    return {named(message)};
  }

 public:
  template <typename T>
  static EventFields named(const T& message) {
    static constexpr auto kNames = names_of(static_cast<const T*>(nullptr));
    EventFields result;
    Namer namer(result, kNames.data());
    fields(namer, message);
    return result;
  }

 private:
  EventFields& out_;
  const std::string_view* names_;
};

template <typename... Ts>
EventFields describe_one_of(const Any& event) {
  EventFields result;
  auto is = [&]<typename T>(const T* type) {
    if (event.type_url != type_of(type)) return false;
    result = Namer::named(decode<T>(event.value));
    return true;
  };
  (is(static_cast<const Ts*>(nullptr)) || ...);
  return result;
}

const EventValue* find_here(const EventFields& fields, std::string_view name) {
  for (const auto& [key, value] : fields)
    if (key == name) return &value;
  return nullptr;
}

}  // namespace

EventFields describe(const Any& event) {
  try {
    return describe_one_of<ContainerCreate, ContainerUpdate, ContainerDelete, NamespaceCreate,
                           NamespaceUpdate, NamespaceDelete, SnapshotPrepare, SnapshotCommit,
                           SnapshotRemove, ContentCreate, ContentDelete, TaskCreate, TaskStart,
                           TaskExit, TaskDelete, TaskOOM, TaskExecAdded, TaskExecStarted,
                           TaskPaused, TaskResumed, TaskCheckpointed>(event);
  } catch (const Error&) {
    return {};
  }
}

// A label's key may have dots itself: the whole rest is tried before its first part.
const EventValue* find_field(const EventFields& fields, std::string_view path) {
  if (const EventValue* whole = find_here(fields, path)) return whole;
  std::size_t dot = path.find('.');
  if (dot == std::string_view::npos) return nullptr;
  const EventValue* part = find_here(fields, path.substr(0, dot));
  const auto* below = part ? std::get_if<EventFields>(&part->value) : nullptr;
  return below ? find_field(*below, path.substr(dot + 1)) : nullptr;
}

std::string field_text(const EventValue& value) {
  if (const auto* text = std::get_if<std::string>(&value.value)) return *text;
  if (const auto* number = std::get_if<int64_t>(&value.value)) return std::to_string(*number);
  if (const auto* flag = std::get_if<bool>(&value.value)) return *flag ? "true" : "false";
  return {};
}

}  // namespace ctrd::api
