// SPDX-License-Identifier: Apache-2.0
// Frames, as a peer that is a stranger sends them: decoded, and read by a client's call.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "fuzz/fuzz.h"
#include "ttrpc/client.h"
#include "ttrpc/frame.h"

namespace ctrd::fuzz {
namespace {

using ttrpc::FrameType;

std::string response(const ttrpc::Response& response) {
  return ttrpc::encode_frame(FrameType::kResponse, 1, ttrpc::encode(response));
}

// The peer sends the input and closes.
void call(std::string_view input) {
  int ends[2];
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  UniqueFd ours(ends[0]), theirs(ends[1]);
  int size = 1 << 20;
  ::setsockopt(theirs.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  try {
    Wait wait{after(std::chrono::seconds(5)), {}};
    ttrpc::Call call(std::move(ours), {"s", "m", "p", 0, {}}, wait);
    std::size_t length = std::min<std::size_t>(input.size(), 64 << 10);
    require(::send(theirs.get(), input.data(), length, MSG_NOSIGNAL) >= 0, "send");
    theirs.reset();
    call.finish(wait);
  } catch (const Error& error) {  // of any code: they are the peer's own words
    require(error.message().size() <= 1024, "a message beyond 1 KiB");
  }
}

}  // namespace

std::vector<std::string> seeds() {
  ttrpc::Response failed{Error(Code::kNotFound, "no such task", Kind::kTask).with("id", "x"), ""};
  return {response({{}, "payload"}),
          response(failed),
          response({{}, ""}),
          ttrpc::encode_frame(
              FrameType::kRequest, 1,
              ttrpc::encode(ttrpc::Request{"service", "Method", "payload", 5, {{"k", "v"}}})),
          ttrpc::encode_frame(FrameType::kData, 3, std::string(1000, 'x')),
          std::string("\xff\xff\xff\xff\0\0\0\1\2\0", 10)};
}

void run(std::string_view input) {
  call(input);
  if (input.size() < ttrpc::kHeaderSize) return;
  ttrpc::decode_header(input.data());
  std::string_view data = input.substr(ttrpc::kHeaderSize);
  accepts([&] {
    ttrpc::Request request = ttrpc::decode_request(data);
    ttrpc::Request again = ttrpc::decode_request(ttrpc::encode(request));
    require(again.method == request.method && again.payload == request.payload,
            "a request changed");
  });
  accepts([&] { ttrpc::decode_response(data); });
}

}  // namespace ctrd::fuzz
