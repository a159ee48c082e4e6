// SPDX-License-Identifier: Apache-2.0
// A directory below /tmp for one test.
#pragma once

#include "support/scratch_dir.h"

namespace ctrd::api {

struct Scratch : ScratchDir {
  Scratch() : ScratchDir("/tmp/ctrd-api-") {}
};

}  // namespace ctrd::api
