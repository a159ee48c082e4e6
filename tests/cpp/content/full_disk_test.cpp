// SPDX-License-Identifier: Apache-2.0
// A disk that is full at every step, in bytes and in inodes: what fails has left no record, no blob
// and nothing half made, and works once there is room. In a mount namespace of a thread's own.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <thread>

#include "content/fixture.h"

namespace ctrd::content {
namespace {

struct FullDiskTest : testing::Test {
  void on_small_disk(const std::function<void()>& f) {
    std::thread([&] {
      ASSERT_EQ(::unshare(CLONE_NEWNS | CLONE_FS), 0);
      ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
      ASSERT_EQ(::mount("tmpfs", temp.path().c_str(), "tmpfs", 0, "size=2m,nr_inodes=200"), 0);
      f();
    }).join();
  }
  // Leaves so many pages, or so many inodes.
  void fill(const std::string& what, std::size_t left) {
    UniqueFd dir = open_dir(temp.path());
    if (what == "bytes") {
      UniqueFd file = open_at(dir.get(), "filler", O_WRONLY | O_CREAT | O_APPEND);
      std::string page(4096, 'f');
      while (::write(file.get(), page.data(), page.size()) > 0) continue;
      struct stat facts {};
      ASSERT_EQ(::fstat(file.get(), &facts), 0);
      off_t less = facts.st_size - static_cast<off_t>(left * 4096);
      ASSERT_EQ(::ftruncate(file.get(), std::max<off_t>(less, 0)), 0);
      return;
    }
    UniqueFd many = make_dir_at(dir.get(), "many", 0700);
    std::size_t made = 0;
    while (::mknodat(many.get(), std::to_string(made).c_str(), S_IFREG, 0) == 0) ++made;
    for (std::size_t i = 0; i < std::min(left, made); ++i) unlink_at(many.get(), std::to_string(i));
  }
  void make_room() {
    UniqueFd dir = open_dir(temp.path());
    unlink_at(dir.get(), "filler");
    remove_tree_at(dir.get(), "many");
  }
  std::vector<std::string> blobs() const { return names_in(temp.path("content/blobs/sha256")); }

  // True: it was committed in spite of it.
  bool try_commit(ContentRoot& root, const std::string& bytes) {
    const std::string digest = digest_of(bytes);
    try {
      auto writer = root.content.open_writer("one", "ref", {digest, bytes.size()}, {});
      writer->write(std::string_view(bytes).substr(writer->status().offset));
      writer->commit({digest, bytes.size()}, {}, {});
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kResourceExhausted) << error.what();
      return false;
    }
  }
  void sweep(const std::string& what, std::size_t most) {
    int failed = 0;
    for (std::size_t left = 0; left <= most; ++left) {
      SCOPED_TRACE(std::to_string(left) + " left of " + what);
      std::string bytes = random_bytes(30'000), digest = digest_of(bytes);
      {
        ContentRoot root(temp.path());
        EXPECT_TRUE(root.content.list("one", {}, {}).empty());
        fill(what, left);
        bool done = try_commit(root, bytes);
        make_room();
        failed += !done;
        EXPECT_EQ(root.content.records().find("one", digest, {}).has_value(), done);
        EXPECT_EQ(blobs().size(), done ? 1u : 0u);
        for (const auto& one : root.content.ingests("one")) EXPECT_LE(one.offset, bytes.size());
        EXPECT_TRUE(done || try_commit(root, bytes));  // goes on where it stopped
        EXPECT_EQ(read_all(root.content.open("one", digest, {}).get()), bytes);
        root.content.remove("one", digest, {});
        EXPECT_TRUE(blobs().empty());
        EXPECT_TRUE(root.content.ingests("one").empty());
        EXPECT_TRUE(names_in(temp.path("content/ingest")).empty());
      }
    }
    EXPECT_GT(failed, 3);
    EXPECT_LT(failed, static_cast<int>(most));
  }
  TempDir temp;
};

TEST_F(FullDiskTest, InBytes) {
  on_small_disk([&] { sweep("bytes", 30); });
}

TEST_F(FullDiskTest, InInodes) {
  on_small_disk([&] { sweep("inodes", 16); });
}

TEST_F(FullDiskTest, AWriteThatFailsCanBeTriedAgain) {
  on_small_disk([&] {
    ContentRoot root(temp.path());
    std::string bytes = random_bytes(100'000);
    auto writer = root.content.open_writer("one", "ref", {}, {});
    writer->write("begin");
    fill("bytes", 10);
    EXPECT_EQ(code_of([&] { writer->write(bytes); }), Code::kResourceExhausted);
    EXPECT_EQ(writer->status().offset, 5u);
    EXPECT_EQ(root.content.ingest("one", "ref").offset, 5u);
    make_room();
    writer->write(bytes);
    auto blob = writer->commit({}, {}, {});
    EXPECT_EQ(blob.digest, digest_of("begin" + bytes));
  });
}

}  // namespace
}  // namespace ctrd::content
