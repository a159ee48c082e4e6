// SPDX-License-Identifier: Apache-2.0
// Other processes on the same root: killed in the middle of an ingest or a commit, and all at once
// at one digest. Record and blob are there both, or neither can be seen.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <set>

#include "content/fixture.h"
#include "content/helper.h"

namespace ctrd::content {
namespace {

// The bytes of the nth blob of a helper.
std::string bytes_of(const std::string& name, int n) {
  std::string bytes = name + std::to_string(n);
  while (bytes.size() < 40'000) bytes += bytes;
  return bytes;
}

// Tells of each blob when it is committed.
int write_for_ever(Content& content, const std::string& name) {
  for (int n = 0;; ++n) {
    std::string bytes = bytes_of(name, n);
    auto writer = content.open_writer("one", "ref", {}, {});
    writer->truncate(0);
    for (std::size_t at = 0; at < bytes.size(); at += 7'000)
      writer->write(std::string_view(bytes).substr(at, 7'000));
    writer->commit({digest_of(bytes), bytes.size()}, {{"n", std::to_string(n)}}, {});
    std::printf("%d\n", n);
    std::fflush(stdout);
  }
}

// Brings and deletes the very same blob; 0 unless something went wrong that never may.
int come_and_go(Content& content, const std::string& ns) {
  const std::string bytes = bytes_of("same", 0), digest = digest_of(bytes);
  for (int round = 0; round < 100; ++round) {
    try {
      auto writer = content.open_writer(ns, "ref", {{}, bytes.size()}, {});
      writer->truncate(0);
      writer->write(bytes);
      writer->commit({digest, bytes.size()}, {}, {});
      if (read_all(content.open(ns, digest, {}).get()) != bytes) return 2;
      content.remove(ns, digest, {});
    } catch (const Error& error) {  // two helpers share a namespace
      bool fair = error.code() == Code::kAlreadyExists || error.code() == Code::kNotFound ||
                  error.code() == Code::kUnavailable;
      if (!fair) std::fprintf(stderr, "%s\n", error.what());
      if (!fair) return 3;
    }
  }
  return 0;
}

std::vector<std::string> environment() {
  std::vector<std::string> all;
  for (char** entry = environ; *entry; ++entry) all.emplace_back(*entry);
  return all;
}

struct ProcessesTest : ContentTest {
  // Each record's blob is there, whole; what is acknowledged has a record.
  void expect_consistent(const std::set<std::string>& acknowledged) {
    std::set<std::string> recorded;
    for (const auto& blob : content().list("one", {}, {})) {
      recorded.insert(blob.digest);
      EXPECT_EQ(digest_of(read(blob.digest)), blob.digest);
    }
    for (const auto& digest : acknowledged) EXPECT_TRUE(recorded.contains(digest)) << digest;
  }
};

TEST_F(ProcessesTest, KilledAtAnyMoment) {
  std::mt19937 random(11);
  std::set<std::string> acknowledged;
  int resumed = 0;
  for (int round = 0; round < 60; ++round) {
    std::string name = "k" + std::to_string(round) + "-";
    Helper helper("write", temp.path(), name);
    int last = std::atoi(helper.line().c_str());
    ::usleep(static_cast<useconds_t>(random() % 4000));  // any moment will do
    helper.kill();
    for (std::string more; !(more = helper.line()).empty();) last = std::atoi(more.c_str());
    for (int n = 0; n <= last; ++n) acknowledged.insert(digest_of(bytes_of(name, n)));
    expect_consistent(acknowledged);
    // The ref is free at once, and what was begun can be ended.
    std::string next = bytes_of(name, last + 1), digest = digest_of(next);
    if (content().records().find("one", digest, {})) continue;  // it was not told in time
    auto writer = open("ref");
    std::size_t come = writer->status().offset;
    resumed += come > 0;
    ASSERT_LE(come, next.size());
    writer->write(std::string_view(next).substr(come));
    writer->commit({digest, next.size()}, {}, {});
    EXPECT_EQ(read(digest), next);
    acknowledged.insert(digest);
  }
  std::printf("60 kills, %d resumed in the middle\n", resumed);
  EXPECT_TRUE(refs().empty());
}

TEST_F(ProcessesTest, ManyAtOneDigest) {
  std::vector<std::unique_ptr<Helper>> helpers;
  for (const char* ns : {"one", "one", "two", "three"})
    helpers.push_back(std::make_unique<Helper>("churn", temp.path(), ns));
  for (auto& helper : helpers) EXPECT_EQ(helper->wait(), 0);
  for (const char* ns : {"one", "two", "three"}) EXPECT_TRUE(content().list(ns, {}, {}).empty());
  EXPECT_TRUE(blobs().empty());
}

TEST_F(ProcessesTest, OneWriterAmongProcesses) {
  Helper helper("hold", temp.path(), "ref");
  EXPECT_EQ(helper.line(), "held");
  EXPECT_EQ(code_of([&] { open("ref"); }), Code::kUnavailable);
  EXPECT_EQ(content().ingest("one", "ref").offset, 5u);
  helper.kill();
  EXPECT_EQ(open("ref")->status().offset, 5u);
}

int hold(Content& content, const std::string& ref) {
  auto writer = content.open_writer("one", ref, {}, {});
  writer->write("12345");
  std::printf("held\n");
  std::fflush(stdout);
  for (;;) ::pause();
}

}  // namespace

int run_helper(const std::string& what, const std::string& path, const std::string& name) {
  ContentRoot root(path);
  if (what == "write") return write_for_ever(root.content, name);
  if (what == "hold") return hold(root.content, name);
  return come_and_go(root.content, name);
}

Helper::Helper(const std::string& what, const std::string& root, const std::string& name) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) throw sys_error("make a pipe");
  output_.reset(ends[0]);
  UniqueFd write_end(ends[1]);
  SpawnSpec spec;
  spec.argv = {real_path("/proc/self/exe"), "--helper", what, root, name};
  spec.env = environment();
  spec.fds = {{write_end.get(), 1}, {2, 2}};
  child_ = spawn(spec);
}

Helper::~Helper() {
  if (!reaped_) kill();
}

std::string Helper::line() {
  std::string text;
  for (char c = 0; ::read(output_.get(), &c, 1) == 1 && c != '\n';) text += c;
  return text;
}

void Helper::kill() {
  ::kill(child_.pid, SIGKILL);
  wait();
}

int Helper::wait() {
  reaped_ = true;
  return reap(child_, {}).value_or(Exit{255, 0}).status;
}

}  // namespace ctrd::content
