// SPDX-License-Identifier: Apache-2.0
// Private to this room: gives a message that has fields() its two public functions, encode and
// decode.
#pragma once

#include "api/task.h"
#include "ttrpc/codec.h"

#define CTRD_API_CODEC(T)                                               \
  std::string encode(const T& m) { return ttrpc::encode_message(m); }   \
  template <>                                                           \
  T decode<T>(std::string_view bytes) {                                 \
    return ttrpc::decode_message<T>(bytes, #T, Code::kInvalidArgument); \
  }

namespace ctrd {

// containerd.types.Mount; its struct lives in base.
void fields(auto& v, ttrpc::Is<Mount> auto& m) {
  v(1, m.type), v(2, m.source), v(3, m.target), v(4, m.options);
}

}  // namespace ctrd

namespace ctrd::api {

using ttrpc::Is;

// google.protobuf.Any: a part of many messages.
void fields(auto& v, Is<Any> auto& m) { v(1, m.type_url), v.bytes(2, m.value); }

}  // namespace ctrd::api
