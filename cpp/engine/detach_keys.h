// SPDX-License-Identifier: Apache-2.0
// The keys that end an attach, found in what is typed. Those that may still become them are held
// back until the next one is known.
#pragma once

#include <string>
#include <string_view>

namespace ctrd::engine {

class DetachKeys {
 public:
  explicit DetachKeys(std::string keys) : keys_(std::move(keys)) {}

  // Appends to *through what goes to the process. True: the keys were typed; what came after them
  // is dropped.
  bool pass(std::string_view typed, std::string* through);
  // No more will be typed: what is held back goes through.
  void finish(std::string* through);

 private:
  std::string keys_;  // "": there are none
  std::size_t met_ = 0;
};

}  // namespace ctrd::engine
