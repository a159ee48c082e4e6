// SPDX-License-Identifier: Apache-2.0
// A segment of the journal with anything in it: a reader comes to its end, and gives back every
// whole record that is written behind it.
#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"
#include "base/segment_name.h"
#include "fuzz/fuzz.h"
#include "journal/format.h"
#include "journal/reader.h"
#include "support/scratch_dir.h"

namespace ctrd::fuzz {

std::vector<std::string> seeds() {
  std::string one = journal::encode_record("one"),
              two = journal::encode_record(std::string(300, '\n'));
  return {one, one + two, one.substr(0, 10) + two, one + std::string(100, '\0') + two,
          two.substr(5) + one + one};
}

void run(std::string_view input) {
  static const ScratchDir scratch("/dev/shm/ctrd-fuzz-");
  static const UniqueFd dir = scratch.dir();
  static const std::string kLast = "the last record, which no damage before it may swallow";
  std::string name = segment_name(0);
  std::string text = std::string(input) + "\n" + journal::encode_record(kLast);
  replace_file_at(dir.get(), name, text, 0600, false);
  journal::Reader reader(open_dir_at(dir.get(), "."), 0);
  std::string last;
  uint64_t seq = 0;
  for (std::size_t n = 0; auto record = reader.next(); ++n) {
    require(n <= text.size(), "a reader without end");
    require(record->seq > seq, "a sequence number that does not rise");
    seq = record->seq;
    last = std::move(record->body);
  }
  require(last == kLast, "the last record is lost");
  require(reader.position() == text.size(), "a reader that stops early");
}

}  // namespace ctrd::fuzz
