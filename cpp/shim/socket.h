// SPDX-License-Identifier: Apache-2.0
// The socket of a shim under containerd: a name that is never used again in a directory that all
// shims share, so that one left by a killed shim is in nobody's way. Its address stands in the
// bundle's file `address`, where containerd looks after a restart. Source: shim-protocol.md 2.5.
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace ctrd::shim {

struct Listener {
  UniqueFd fd;
  std::string address;  // "unix:///..."
};
// dir: absolute; made if it is not there. Only our own user may connect.
Listener listen_in(const std::string& dir);
// The file of a listening socket.
void remove_socket(int fd);

void write_address(int bundle, const std::string& address);
// The path of the socket that the bundle's address names; "": there is no such file.
std::string find_socket(int bundle);
// The socket that the bundle's address names, and that file. Nothing there is fine.
void remove_address(int bundle);

}  // namespace ctrd::shim
