// SPDX-License-Identifier: Apache-2.0
// What clients of containerd ask for: options of every form, stdio of every kind.
#include "shim/containerd_options.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <tuple>

#include "base/files.h"
#include "base/process.h"
#include "shim/containerd.h"
#include "shim/containerd_stdio.h"
#include "shim/log_program.h"
#include "shim/toml.h"
#include "ttrpc/client.h"

namespace ctrd::shim {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

template <typename T>
api::Any any_of(std::string_view type, const T& message) {
  return {std::string(type), api::encode(message)};
}

// All of them: a new one does not compile until it is here.
auto fields(const api::RuncOptions& options) {
  const auto& [no_pivot, no_keyring, shim_cgroup, uid, gid, binary, root, criu, systemd, images,
               work] = options;
  return std::tuple(no_pivot, no_keyring, shim_cgroup, uid, gid, binary, root, criu, systemd,
                    images, work);
}

api::RuncOptions all_set() {
  return {.no_pivot_root = true,
          .no_new_keyring = true,
          .shim_cgroup = "/s",
          .io_uid = 5,
          .io_gid = 6,
          .binary_name = "/usr/bin/crun",
          .root = "/run/x",
          .criu_path = "/criu",
          .systemd_cgroup = true,
          .criu_image_path = "/images",
          .criu_work_path = "/work"};
}

TEST(ContainerdOptions, EachForm) {
  api::RuncOptions runc = all_set();
  api::RuncCreateOptions create{
      .no_pivot_root = true, .no_new_keyring = true, .shim_cgroup = "/s", .io_uid = 5, .io_gid = 6};
  api::LinuxRuncOptions linux_options{
      .runtime = "crun", .runtime_root = "/r", .criu_path = "/c", .systemd_cgroup = true};
  api::RuntimeOptions cri{.type_url = "x",
                          .config_body =
                              "BinaryName = \"crun\" # ours\nRoot = '/r'\nNoPivotRoot = true\n"
                              "NoNewKeyring = true\nShimCgroup = \"/s\"\nIoUid = 5\nIoGid = 6\n"
                              "SystemdCgroup = true\n[x]\ny = 1"};
  api::RuncOptions of_create{
      .no_pivot_root = true, .no_new_keyring = true, .shim_cgroup = "/s", .io_uid = 5, .io_gid = 6};
  api::RuncOptions of_linux{
      .binary_name = "crun", .root = "/r", .criu_path = "/c", .systemd_cgroup = true};
  api::RuncOptions of_cri = of_create;
  of_cri.binary_name = "crun";
  of_cri.root = "/r";
  of_cri.systemd_cgroup = true;
  struct Row {
    api::Any any;
    api::RuncOptions means;
  };
  std::string prefixed = "type.googleapis.com/" + std::string(api::kRuncOptionsType);
  for (const auto& [any, means] : std::vector<Row>{
           {any_of(api::kRuncOptionsType, runc), runc},
           {any_of(prefixed, runc), runc},
           {any_of(api::kCreateOptionsType, create), of_create},
           {any_of(api::kLinuxRuncOptionsType, linux_options), of_linux},
           {any_of(api::kRuntimeOptionsType, cri), of_cri},
           {any_of(api::kCriRuntimeOptionsType, cri), of_cri},
       }) {
    EXPECT_EQ(fields(runc_options(any)), fields(means)) << any.type_url;
    EXPECT_TRUE(are_runc_options(any));
  }
}

TEST(ContainerdOptions, AsOurOwn) {
  api::RuncOptions runc = all_set();
  runc.systemd_cgroup = false;
  api::Options options = containerd_options(any_of(api::kRuncOptionsType, runc), "ns");
  EXPECT_EQ(options.instance.size(), 16U);
  api::Options wanted;
  wanted.binary_name = "/usr/bin/crun";
  wanted.lifetime = api::Lifetime::kDetached;
  wanted.instance = options.instance;
  wanted.runtime_root = "/run/x/ns";
  wanted.no_pivot_root = wanted.no_new_keyring = true;
  wanted.io_uid = 5;
  wanted.io_gid = 6;
  wanted.wait_for_readers = true;
  EXPECT_EQ(api::encode(options), api::encode(wanted));
}

TEST(ContainerdOptions, AFileThatCannotBeReadIsNamed) {
  std::string path = ::testing::TempDir() + "/ctrd-options-" + std::to_string(::getpid());
  auto error_for = [](const std::string& given) {
    api::RuntimeOptions cri{.config_path = given};
    Error error = error_of([&] { runc_options(any_of(api::kRuntimeOptionsType, cri)); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.message();
  };
  EXPECT_THAT(error_for("relative.toml"), AllOf(HasSubstr("relative"), HasSubstr("config_path")));
  EXPECT_THAT(error_for(path), AllOf(HasSubstr(path), HasSubstr("config_path")));
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  write_all(file.get(), "BinaryName = \"crun\"\nnothing");
  EXPECT_THAT(error_for(path), HasSubstr("line 2"));
  ::unlink(path.c_str());
}

TEST(ContainerdOptions, OfUnknownTypesAreIgnored) {
  EXPECT_EQ(runc_options({"some.Type", "\xff\xff"}).binary_name, "");
  EXPECT_EQ(runc_options({}).binary_name, "");
  EXPECT_EQ(containerd_options({"some.Type", "x"}, "ns").binary_name,
            std::filesystem::absolute(find_program("runc").value()));
}

TEST(ContainerdOptions, SystemdIsRefusedWhereItIsNot) {
  if (std::filesystem::exists("/run/systemd/system")) GTEST_SKIP() << "systemd runs here";
  api::RuncOptions runc;
  runc.systemd_cgroup = true;
  Error error = error_of([&] { containerd_options(any_of(api::kRuncOptionsType, runc), "ns"); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("SystemdCgroup"));
}

TEST(ContainerdOptions, ARuntimeThatIsNotThereIsNamed) {
  api::RuncOptions runc;
  runc.binary_name = "no-runc";
  Error error = error_of([&] { containerd_options(any_of(api::kRuncOptionsType, runc), "ns"); });
  EXPECT_THAT(error.message(), HasSubstr("\"no-runc\""));
}

TEST(Toml, WhatOptionsAreWrittenIn) {
  Toml toml("# c\nA = \"x # \\t\" # z\n  B=true\nC = 12\nD = [1]\nE = 'q'\nF = -1\n[t]\nG = 1");
  EXPECT_EQ(toml.text("A"), "x # \t");
  EXPECT_TRUE(toml.flag("B"));
  EXPECT_EQ(toml.number("C"), 12U);
  EXPECT_EQ(toml.text("E"), "q");
  EXPECT_EQ(toml.text("absent"), "");
  EXPECT_EQ(toml.number("G"), 0U) << "of another table";
  EXPECT_FALSE(toml.flag("absent"));
  EXPECT_EQ(error_of([&] { toml.flag("A"); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([&] { toml.number("D"); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([&] { toml.text("C"); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([&] { toml.number("F"); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([&] { toml.text("t"); }).code(), Code::kInvalidArgument);
  Error none = error_of([] { Toml("A = 1\nnothing"); });
  EXPECT_EQ(none.code(), Code::kInvalidArgument);
  EXPECT_NE(none.message().find("line 2"), std::string::npos) << none.message();
}

struct ContainerdStdio : ::testing::Test {
  Containerd c{find_program("crun").value()};

  void finish() {
    EXPECT_EQ(c.h.wait().exit_status, 0U);
    c.h.remove();
    c.shutdown();
    EXPECT_EQ(c.h.exit_status(), 0);
  }
};

// One that attaches later reads on: nothing is lost, and the writer sees no SIGPIPE.
TEST_F(ContainerdStdio, AReaderGoesAndAnotherComes) {
  c.h.configure({"/bin/sh", "-c", "echo one; read x; echo two; read x; echo three"});
  UniqueFd in = c.h.fifo("stdin");
  UniqueFd out = c.h.fifo("stdout");
  auto read_line = [&](std::size_t size) {
    std::string text(size, '\0');
    wait_ready(out.get(), POLLIN, soon(), "a line");
    EXPECT_EQ(::read(out.get(), text.data(), size), static_cast<ssize_t>(size));
    return text;
  };
  c.start();
  c.create();
  c.h.start();
  EXPECT_EQ(read_line(4), "one\n");
  out.reset();
  ASSERT_EQ(::write(in.get(), "x\n", 2), 2);
  out = UniqueFd(::open(c.h.stdout_path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_EQ(read_line(4), "two\n");
  ASSERT_EQ(::write(in.get(), "x\n", 2), 2);
  EXPECT_EQ(read_to_end(out.get()), "three\n");
  finish();
}

TEST_F(ContainerdStdio, AFileIsMadeAndTakesBoth) {
  c.h.configure({"/bin/sh", "-c", "echo one; echo two >&2"});
  std::string path = c.h.dir + "/deep/er/file";
  c.h.stdout_path = c.h.stderr_path = "file://" + path;
  c.start();
  c.create();
  EXPECT_EQ(c.h.state().stdout_path, "file://" + path);
  c.h.start();
  EXPECT_EQ(c.h.wait().exit_status, 0U);
  EXPECT_EQ(read_file_at(open_dir(c.h.dir).get(), "deep/er/file"), "one\ntwo\n");
  finish();
}

TEST_F(ContainerdStdio, APathOfAUriIsDecoded) {
  c.h.configure({"/bin/echo", "one"});
  c.h.stdout_path = "file://" + c.h.dir + "/a%20b%2Fc%25?x=y";
  std::filesystem::create_directory(c.h.dir + "/a b");
  c.start();
  c.create();
  c.h.start();
  EXPECT_EQ(c.h.wait().exit_status, 0U);
  EXPECT_EQ(read_file_at(open_dir(c.h.dir).get(), "a b/c%"), "one\n");
  finish();
}

TEST_F(ContainerdStdio, AUriThatIsNoneIsRefused) {
  c.h.configure({"/bin/true"});
  c.start();
  for (const char* bad :
       {"file:///x%", "file:///x%2", "file:///x%zz", "file:///x%00", "file://x"}) {
    c.h.stdout_path = bad;
    Error error = error_of([&] { c.create(); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << bad;
    EXPECT_THAT(error.message(), HasSubstr("stdout"));
  }
  c.shutdown();
  EXPECT_EQ(c.h.exit_status(), 0);
}

TEST_F(ContainerdStdio, AnUnknownSchemeIsRefused) {
  c.h.configure({"/bin/true"});
  c.start();
  c.h.stdout_path = "what:///x";
  EXPECT_THAT(error_of([&] { c.create(); }).message(), HasSubstr("unknown STDIO scheme what"));
  c.h.stdout_path = "";
  c.create();
  c.h.start();
  finish();
}

TEST_F(ContainerdStdio, TheArgumentsOfALogProgram) {
  auto words = [](const std::string& uri) {
    StdioPaths paths = containerd_stdio({.in = "", .out = uri, .err = ""});
    return paths.program.value().argv;
  };
  using Words = std::vector<std::string>;
  EXPECT_EQ(words("binary:///a%20b"), (Words{"/a b"}));
  EXPECT_EQ(words("binary:///a?"), (Words{"/a"}));
  EXPECT_EQ(words("binary:///a?&x=1&&y=a%26b=c&x=2&z"),
            (Words{"/a", "x", "1", "y", "a&b=c", "z", ""}));
  EXPECT_EQ(words("binary-v2:///a+b?c+d=%2B"), (Words{"/a+b", "c d", "+"}));
  for (const char* bad : {"binary://a", "binary://", "binary:///a?b=%", "binary:///a%00"})
    EXPECT_EQ(error_of([&] { words(bad); }).code(), Code::kInvalidArgument) << bad;
}

// One that never says that it is ready: Create may take no longer than its caller has said.
TEST_F(ContainerdStdio, ALogProgramThatHangs) {
  c.h.configure({"/bin/true"});
  std::string program = c.h.dir + "/hangs";
  UniqueFd file(::open(program.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
  write_all(file.get(), "#!/bin/sh\nexec sleep 1000\n");
  file.reset();
  c.start();
  api::CreateRequest create = c.h.create_request();
  create.options = c.options;
  create.stdout_path = "binary://" + program;
  ttrpc::Request request = to_task("Create", api::encode(create));
  request.timeout_ns = 200'000'000;
  Error error = error_of([&] {
    UniqueFd socket = ttrpc::connect_at(c.h.bundle_dir.get(), api::kSocketFile, soon());
    ttrpc::Call(std::move(socket), request, soon()).finish(soon());
  });
  EXPECT_EQ(error.code(), Code::kDeadlineExceeded) << error.message();
  UniqueFd running = open_dir_at(c.h.bundle_dir.get(), "loggers");
  EXPECT_TRUE(eventually([&] { return list_dir(running.get()).empty(); }));
  c.create();
  c.h.start();
  finish();
}

// A shim that was killed while it wrote one.
TEST(LogPrograms, WhatIsNoRecordIsPassedOver) {
  Containerd c(find_program("crun").value());
  UniqueFd dir = make_dirs_at(c.h.bundle_dir.get(), "loggers", 0700);
  SpawnSpec spec;
  spec.argv = {"/bin/sleep", "1000"};
  spec.new_session = true;
  Child program = spawn(spec);
  std::string record = std::to_string(start_time(program.pid).value()) + " " + boot_id();
  for (const char* name : {".tmp-1", ".tmp-2", "0", "1x", "99999999999999999999"})
    create_file_at(dir.get(), name, record, 0600);
  create_file_at(dir.get(), "1", "x " + boot_id(), 0600);
  create_file_at(dir.get(), std::to_string(program.pid), record, 0600);
  end_log_programs(c.h.bundle_dir.get(), std::chrono::milliseconds(10));
  EXPECT_EQ(reap(program, soon()).value().signal, SIGKILL);
}

// Its cgroup is not named as ours are, and goes all the same.
TEST_F(ContainerdStdio, ACgroupOfContainerdsName) {
  c.h.cgroup = "/test-" + c.h.cgroup.substr(1) + "/inner";
  c.h.configure({"/bin/sleep", "1000"}, {{"linux", {{"cgroupsPath", c.h.cgroup}}}});
  c.start();
  c.create();
  c.h.start();
  EXPECT_EQ(c.h.count_pids(), 1U);
  c.h.kill(SIGKILL, true);
  EXPECT_EQ(c.h.wait().exit_status, 137U);
  c.h.remove();
  c.shutdown();
  EXPECT_EQ(c.h.exit_status(), 0);
  c.h.expect_no_cgroup();
}

}  // namespace
}  // namespace ctrd::shim
