// SPDX-License-Identifier: Apache-2.0
// A root of a test's own with a content store in it, and another look at the same root.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/temp_dir.h"
#include "content/content.h"
#include "store/store.h"

namespace ctrd::content {

struct ContentRoot {
  explicit ContentRoot(const std::string& path, Sharing sharing = Sharing::kShared)
      : dir(open_dir(path)),
        store(store::Store::at(make_dirs_at(dir.get(), "metadata", 0700))),
        content(dir.get(), std::make_shared<metadata::Ledger>(store), sharing) {}

  UniqueFd dir;
  std::shared_ptr<store::Store> store;
  Content content;
};

inline std::string random_bytes(std::size_t size) {
  static std::mt19937 random(7);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

inline std::string read_all(int fd) {
  std::string bytes;
  char buffer[4096];
  for (ssize_t size = 0;
       (size = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(bytes.size()))) > 0;)
    bytes.append(buffer, static_cast<std::size_t>(size));
  return bytes;
}

inline std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  if (std::filesystem::exists(path)) names = list_dir(open_dir(path).get());
  return names;
}

struct ContentTest : testing::Test {
  Content& content() { return root.content; }
  std::unique_ptr<Writer> open(const std::string& ref, const Expected& expected = {},
                               const std::string& ns = "one") {
    return content().open_writer(ns, ref, expected, {});
  }
  metadata::Blob write_blob(const std::string& bytes, const std::string& ns = "one",
                            const metadata::Labels& labels = {}) {
    auto writer = open("blob-" + digest_of(bytes), {}, ns);
    writer->write(bytes);
    return writer->commit({digest_of(bytes), bytes.size()}, labels, {});
  }
  std::string read(const std::string& digest, const std::string& ns = "one") {
    return read_all(content().open(ns, digest, {}).get());
  }
  std::vector<std::string> blobs() const { return names_in(temp.path("content/blobs/sha256")); }
  std::vector<std::string> ingest_dirs() const { return names_in(temp.path("content/ingest")); }
  std::vector<std::string> refs(const std::string& ns = "one") {
    std::vector<std::string> all;
    for (const auto& one : content().ingests(ns)) all.push_back(one.ref);
    return all;
  }
  void expect_nothing_left() {
    EXPECT_TRUE(blobs().empty());
    EXPECT_TRUE(ingest_dirs().empty());
    EXPECT_TRUE(content().records().list("one", {}).empty());
  }

  TempDir temp;
  ContentRoot root{temp.path()};
};

}  // namespace ctrd::content
