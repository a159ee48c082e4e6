// SPDX-License-Identifier: Apache-2.0
// Data of the default profile: which system calls a container may use. Names that the machine's
// libseccomp does not know are skipped by the runtimes. Names of 32-bit compatibility calls are
// left out: the profile is for the native architecture only.
#include "oci/seccomp.h"

namespace ctrd::oci {
namespace {

// clang-format off
constexpr std::string_view kAllowed[] = {
    // files and directories
    "access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3",
    "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown",
    "fchownat", "fcntl", "fdatasync", "fgetxattr", "file_getattr", "file_setattr", "flistxattr", "flock",
    "fremovexattr", "fsetxattr", "fstat", "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd", "getdents",
    "getdents64", "getxattr", "getxattrat", "ioctl", "lchown", "lgetxattr", "link", "linkat", "listxattr",
    "listxattrat", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "mkdir", "mkdirat", "mknod",
    "mknodat", "name_to_handle_at", "newfstatat", "open", "openat", "openat2", "pread64", "preadv", "preadv2",
    "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "removexattr",
    "removexattrat", "rename", "renameat", "renameat2", "rmdir", "sendfile", "setxattr", "setxattrat", "splice",
    "stat", "statfs", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "tee", "truncate",
    "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "vmsplice", "write", "writev", "cachestat",
    // waiting for files, notifications
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "epoll_wait_old", "eventfd", "eventfd2", "fanotify_mark", "inotify_add_watch", "inotify_init", "inotify_init1",
    "inotify_rm_watch", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup", "io_submit",
    "pipe", "pipe2", "poll", "ppoll", "pselect6", "select", "signalfd", "signalfd4",
    // memory
    "brk", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mlock", "mlock2",
    "mlockall", "mmap", "mprotect", "mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "pkey_alloc",
    "pkey_free", "pkey_mprotect", "process_mrelease", "remap_file_pages", "shmat", "shmctl", "shmdt", "shmget",
    // processes, threads, signals
    "alarm", "arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork",
    "futex", "futex_requeue", "futex_wait", "futex_waitv", "futex_wake", "get_robust_list", "get_thread_area",
    "getcpu", "getitimer", "getpgid", "getpgrp", "getpid", "getpriority", "getrlimit", "getrusage", "getsid",
    "gettid", "ioprio_get", "ioprio_set", "kill", "modify_ldt", "nanosleep", "pause", "pidfd_open",
    "pidfd_send_signal", "prctl", "prlimit64", "ptrace", "process_vm_readv", "process_vm_writev",
    "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo",
    "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler",
    "sched_rr_get_interval", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",
    "sched_yield", "seccomp", "set_robust_list", "set_thread_area", "set_tid_address", "setitimer", "setpgid",
    "setpriority", "setrlimit", "setsid", "sigaltstack", "tgkill", "time", "times", "tkill", "uretprobe", "uprobe",
    "vfork", "wait4", "waitid",
    // identities
    "getegid", "geteuid", "getgid", "getgroups", "getresgid", "getresuid", "getuid", "landlock_add_rule",
    "landlock_create_ruleset", "landlock_restrict_self", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr",
    "setfsgid", "setfsuid", "setgid", "setgroups", "setregid", "setresgid", "setresuid", "setreuid", "setuid",
    // sockets (socket itself has rules of its own)
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom",
    "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair",
    // System V and POSIX messages and semaphores
    "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "msgctl", "msgget",
    "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop",
    // clocks, timers, the machine
    "adjtimex", "clock_adjtime", "clock_getres", "clock_gettime", "clock_nanosleep", "getrandom", "gettimeofday",
    "sysinfo", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime",
    "timerfd_create", "timerfd_gettime", "timerfd_settime", "uname",
};
// clang-format on

constexpr CapSyscall kByCapability[] = {
    {"CAP_BPF", "bpf"},
    {"CAP_DAC_READ_SEARCH", "open_by_handle_at"},
    {"CAP_PERFMON", "perf_event_open"},
    {"CAP_SYSLOG", "syslog"},
    {"CAP_SYS_ADMIN", "bpf"},
    {"CAP_SYS_ADMIN", "fanotify_init"},
    {"CAP_SYS_ADMIN", "fsconfig"},
    {"CAP_SYS_ADMIN", "fsmount"},
    {"CAP_SYS_ADMIN", "fsopen"},
    {"CAP_SYS_ADMIN", "fspick"},
    {"CAP_SYS_ADMIN", "listmount"},
    {"CAP_SYS_ADMIN", "lookup_dcookie"},
    {"CAP_SYS_ADMIN", "mount"},
    {"CAP_SYS_ADMIN", "mount_setattr"},
    {"CAP_SYS_ADMIN", "move_mount"},
    {"CAP_SYS_ADMIN", "open_tree"},
    {"CAP_SYS_ADMIN", "open_tree_attr"},
    {"CAP_SYS_ADMIN", "perf_event_open"},
    {"CAP_SYS_ADMIN", "pivot_root"},
    {"CAP_SYS_ADMIN", "quotactl"},
    {"CAP_SYS_ADMIN", "quotactl_fd"},
    {"CAP_SYS_ADMIN", "setdomainname"},
    {"CAP_SYS_ADMIN", "sethostname"},
    {"CAP_SYS_ADMIN", "setns"},
    {"CAP_SYS_ADMIN", "statmount"},
    {"CAP_SYS_ADMIN", "syslog"},
    {"CAP_SYS_ADMIN", "umount2"},
    {"CAP_SYS_ADMIN", "unshare"},
    {"CAP_SYS_BOOT", "reboot"},
    {"CAP_SYS_CHROOT", "chroot"},
    {"CAP_SYS_MODULE", "delete_module"},
    {"CAP_SYS_MODULE", "finit_module"},
    {"CAP_SYS_MODULE", "init_module"},
    {"CAP_SYS_NICE", "get_mempolicy"},
    {"CAP_SYS_NICE", "mbind"},
    {"CAP_SYS_NICE", "set_mempolicy"},
    {"CAP_SYS_NICE", "set_mempolicy_home_node"},
    {"CAP_SYS_PACCT", "acct"},
    {"CAP_SYS_PTRACE", "kcmp"},
    {"CAP_SYS_PTRACE", "pidfd_getfd"},
    {"CAP_SYS_PTRACE", "process_madvise"},
    {"CAP_SYS_RAWIO", "ioperm"},
    {"CAP_SYS_RAWIO", "iopl"},
    {"CAP_SYS_TIME", "clock_settime"},
    {"CAP_SYS_TIME", "settimeofday"},
    {"CAP_SYS_TTY_CONFIG", "vhangup"},
};

// Kernel-wide state, keyrings (they have no namespace), io_uring (its work passes by every filter),
// old traps.
constexpr std::string_view kDenied[] = {
    "add_key",        "create_module",   "get_kernel_syms", "io_uring_enter", "io_uring_register",
    "io_uring_setup", "kexec_file_load", "kexec_load",      "keyctl",         "migrate_pages",
    "move_pages",     "nfsservctl",      "query_module",    "request_key",    "swapoff",
    "swapon",         "_sysctl",         "sysfs",           "uselib",         "userfaultfd",
    "ustat",
};

}  // namespace

std::span<const std::string_view> allowed_syscalls() { return kAllowed; }
std::span<const CapSyscall> capability_syscalls() { return kByCapability; }
std::span<const std::string_view> denied_syscalls() { return kDenied; }

}  // namespace ctrd::oci
