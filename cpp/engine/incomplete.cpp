// SPDX-License-Identifier: Apache-2.0
#include "engine/incomplete.h"

#include "base/files.h"

namespace ctrd::engine {
namespace {

constexpr const char* kMark = "incomplete";
constexpr const char* kWords = "records may be lost: ctrd fsck --repair keeps what has none\n";

}  // namespace

bool is_incomplete(const Core& core) { return exists_at(core.root.metadata().get(), kMark); }

void mark_incomplete(const Core& core) {
  replace_file_at(core.root.metadata().get(), kMark, kWords, 0600, true);
}

void mark_complete(const Core& core) { unlink_at(core.root.metadata().get(), kMark); }

}  // namespace ctrd::engine
