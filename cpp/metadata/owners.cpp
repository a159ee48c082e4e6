// SPDX-License-Identifier: Apache-2.0
#include "metadata/owners.h"

#include "metadata/schema.h"

namespace ctrd::metadata {

void need_owner(Changes& changes, uint64_t number, const ProcessKey& process) {
  if (process.pid == 0 || changes.has(key_owner(number))) return;
  Owner owner{process, ""};
  if (auto state = changes.view().find(key_state())) owner.state = decode_state(*state).path;
  changes.batch().put(key_owner(number), encode(owner));
}

}  // namespace ctrd::metadata
