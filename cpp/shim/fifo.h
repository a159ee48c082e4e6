// SPDX-License-Identifier: Apache-2.0
// Opening the FIFOs that a client made, without ever hanging on a peer that is not there. Source:
// shim-protocol.md 6.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "shim/event.h"

namespace ctrd::shim {

struct Patience {
  TimePoint deadline = kForever;
  std::function<bool()> given_up;  // asked between tries; may be empty
};

// For writing, non-blocking; tries again while nobody reads, so that success means that a reader
// came. Throws kDeadlineExceeded naming the path; kInvalidArgument if it is no FIFO; kAborted when
// given up.
asio::awaitable<UniqueFd> open_for_writing(std::string field, std::string path, Patience patience);

// A reading end of the same FIFO, which nobody reads: then a reader that goes is not the end.
UniqueFd open_keeper(const UniqueFd& writer);

struct Stdin {
  UniqueFd reader;
  UniqueFd keeper;  // our own writing end: a writer that goes is not yet the end of input; closing
                    // this lets it be
};
Stdin open_stdin(const std::string& path);

// What follows "file:" (api/bundle.h), nullopt: the path is no such one.
std::optional<std::string> file_path(const std::string& path);
// Such a file, terminal, pipe or descriptor of a client (/proc/<pid>/fd/<n>), opened anew and so
// non-blocking for us alone. Throws invalid naming the field if it cannot be opened so.
UniqueFd open_file(std::string_view field, const std::string& path, int flags);

// A pipe for the container. Our end is non-blocking, the container's is not.
struct PipeEnds {
  UniqueFd ours, theirs;
};
PipeEnds output_pipe();
PipeEnds input_pipe();

}  // namespace ctrd::shim
