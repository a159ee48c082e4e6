// SPDX-License-Identifier: Apache-2.0
// The sockets of a network namespace, by inode: as /proc/<pid>/fd names them. Source:
// sock_diag(7), proc_pid_net(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>

namespace ctrd {

struct UnixSocket {
  bool is_stream = false;  // or SOCK_SEQPACKET: it has an other end, not just somebody to send to
  uint64_t peer = 0;       // the other end's inode, perhaps of another namespace; 0: there is none
};
// Of a process that has gone: none. Throws sys_error.
std::map<uint64_t, UnixSocket> unix_sockets(pid_t pid);

enum class InetState { kOther, kListening, kConnected };
// Of all TCP, UDP and raw sockets of IPv4 and IPv6. kConnected: TCP, in any state in which there is
// another end.
std::map<uint64_t, InetState> inet_sockets(pid_t pid);

}  // namespace ctrd
