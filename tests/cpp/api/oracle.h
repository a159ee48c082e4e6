// SPDX-License-Identifier: Apache-2.0
// Every message of ours beside protoc's class for it, so that one test serves them all.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ctrd::api {

struct Codec {
  const char* name;
  std::unique_ptr<google::protobuf::Message> (*make)();  // protoc's, empty
  std::string (*read_and_write)(std::string_view);       // decoded and encoded by us; throws Error
  bool on_disk = false;                                  // a version byte stands in front of ours
};
const std::vector<Codec>& codecs();

// Sets each field, to another value each, two elements where it is repeated.
void fill(google::protobuf::Message& message);
// What we always write, though a peer may not: times that have not come, options with a default of
// their own.
void add_always_written(google::protobuf::Message& message);
std::string serialized(const google::protobuf::Message& message);  // deterministic

}  // namespace ctrd::api
