// SPDX-License-Identifier: Apache-2.0
// The action probe-overlay: does overlay work below this directory? Only trying tells. In a mount
// namespace of its own, so that nothing of it is ever seen outside.
#pragma once

#include <string>

namespace ctrd::shim {

// dir: an existing directory; a subdirectory is made and removed. Returns "" if a file was written
// through an overlay, else the reason.
std::string probe_overlay(const std::string& dir);

}  // namespace ctrd::shim
