// SPDX-License-Identifier: Apache-2.0
// A log of LevelDB, read without LevelDB: it drops what is behind damage, up to the next block, and
// does not say so. Source: LevelDB, doc/log_format.md.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace ctrd::store {

struct LogDamage {
  std::size_t at = 0;  // the first byte
  std::string why = {};
  bool is_tail = true;  // no whole record follows it: as a crash may leave a log
};

// f gets each whole record in order, those behind damage too. What ends in the middle of a record
// is a writer's that was killed, and no damage. nullopt: all is well.
std::optional<LogDamage> read_log(std::string_view bytes,
                                  const std::function<void(std::string_view record)>& f);

// One change of a record, which is a batch. value: nullopt for an erased key.
struct LogChange {
  uint64_t sequence = 0;
  std::string_view key;
  std::optional<std::string_view> value;
};
// False: it is no batch; f may have been called for a part of it.
bool read_batch(std::string_view record, const std::function<void(const LogChange&)>& f);

// The logs in dir may end in whatever a crash has left there, but are whole up to that.
bool are_only_torn(int dir);

}  // namespace ctrd::store
