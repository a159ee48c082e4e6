// SPDX-License-Identifier: Apache-2.0
#include "engine/detach_keys.h"

namespace ctrd::engine {

bool DetachKeys::pass(std::string_view typed, std::string* through) {
  if (keys_.empty()) {
    through->append(typed);
    return false;
  }
  for (char key : typed) {
    while (met_ > 0 && key != keys_[met_]) {  // the longest end of what is held that may go on
      std::string held = keys_.substr(0, met_);
      std::size_t next = met_ - 1;
      while (next > 0 && held.substr(met_ - next) != keys_.substr(0, next)) --next;
      through->append(held, 0, met_ - next);
      met_ = next;
    }
    if (key == keys_[met_])
      ++met_;
    else
      through->push_back(key);
    if (met_ == keys_.size()) return true;
  }
  return false;
}

void DetachKeys::finish(std::string* through) {
  through->append(keys_, 0, met_);
  met_ = 0;
}

}  // namespace ctrd::engine
