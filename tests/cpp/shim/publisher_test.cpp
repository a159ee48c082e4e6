// SPDX-License-Identifier: Apache-2.0
#include "shim/publisher.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "base/files.h"
#include "journal/reader.h"
#include "shim/harness.h"

namespace ctrd::shim {
namespace {

struct PublisherTest : ::testing::Test {
  PublisherTest() {
    if (::mkdtemp(path.data()) == nullptr) throw sys_error("mkdtemp");
  }
  ~PublisherTest() override { std::filesystem::remove_all(path); }

  std::vector<std::string> topics() const {
    std::vector<std::string> found;
    journal::Reader reader(open_dir(path), 0);
    while (auto record = reader.next())
      found.push_back(api::decode<api::Event>(record->body).topic);
    return found;
  }
  Code code_of(const std::string& journal) {
    return error_of([&] { publisher.open(journal, "instance"); }).code();
  }

  std::string path = "/tmp/ctrd-publisher-XXXXXX";
  asio::io_context loop;
  Publisher publisher{loop, "ns"};
};

TEST_F(PublisherTest, WhatItPublishesIsThereAtOnce) {
  publisher.open(path, "0123456789abcdef");
  publisher.publish(api::TaskStart{"x", 3});
  journal::Reader reader(open_dir(path), 0);
  auto event = api::decode<api::Event>(reader.next()->body);
  EXPECT_EQ(event.topic, "/tasks/start");
  EXPECT_EQ(event.ns, "ns");
  EXPECT_EQ(event.id, api::event_id("0123456789abcdef", "/tasks/start"));
}

TEST_F(PublisherTest, WithoutAJournalNobodyIsTold) {
  publisher.publish(api::TaskStart{"x", 3});
  publisher.open("", "instance");
  publisher.publish(api::TaskStart{"x", 3});
  publisher.finish();
  EXPECT_TRUE(topics().empty());
}

TEST_F(PublisherTest, AnUnsafeDirectoryIsRefused) {
  EXPECT_EQ(code_of("relative"), Code::kInvalidArgument);
  EXPECT_EQ(code_of(path + "/nothing"), Code::kNotFound);
  EXPECT_EQ(code_of("/dev/null"), Code::kNotFound);
  ::chmod(path.c_str(), 0770);
  EXPECT_EQ(code_of(path), Code::kPermissionDenied);
  ::chmod(path.c_str(), 0700);
  if (::geteuid() != 0) return;
  ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
  EXPECT_EQ(code_of(path), Code::kPermissionDenied);
}

// As a full disk: it waits, in order, and is tried again; the loop goes on meanwhile.
TEST_F(PublisherTest, WhatCannotBeAppendedNowIsAppendedLater) {
  publisher.open(path, "instance");
  publisher.publish(api::TaskStart{"x", 1});
  UniqueFd held = open_at(open_dir(path).get(), "00000000000000000000", O_RDONLY);
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  publisher.publish(api::TaskOOM{"x"});
  publisher.publish(api::TaskExit{.container_id = "x", .id = "x"});
  EXPECT_EQ(topics().size(), 1u);
  held.reset();
  loop.run();
  EXPECT_EQ(topics(), (std::vector<std::string>{"/tasks/start", "/tasks/oom", "/tasks/exit"}));
}

TEST_F(PublisherTest, TheLastChance) {
  publisher.open(path, "instance");
  publisher.publish(api::TaskStart{"x", 1});
  UniqueFd held = open_at(open_dir(path).get(), "00000000000000000000", O_RDONLY);
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  publisher.publish(api::TaskOOM{"x"});
  held.reset();
  publisher.finish();
  EXPECT_EQ(topics().size(), 2u);
}

}  // namespace
}  // namespace ctrd::shim
