// SPDX-License-Identifier: Apache-2.0
// A damaged database is said to be one, by path and with what to do; an error of the disk keeps its
// errno.
#include <gmock/gmock.h>
#include <string.h>

#include "store/database.h"
#include "store/support.h"

namespace ctrd::store {
namespace {

using testing::HasSubstr;
using testing::Not;

void expect_data_loss(const Error& error, const std::string& path, const std::string& file) {
  EXPECT_EQ(error.code(), Code::kDataLoss) << error.what();
  EXPECT_EQ(error.kind(), Kind::kRoot);
  EXPECT_EQ(error.find("path"), path);
  EXPECT_EQ(error.find("file"), file);
  EXPECT_THAT(error.message(), HasSubstr(file));
  EXPECT_THAT(std::string(error.find("hint")), HasSubstr("restore"));
  EXPECT_THAT(error.message(), HasSubstr(path));
  EXPECT_THAT(error.message(), Not(HasSubstr("/proc/self/fd")));
}

struct DamageTest : testing::Test {
  DamageTest() {
    for (int i = 0; i < 600; ++i) put(*store, "k" + std::to_string(i), std::string(1000, 'x'));
  }
  std::vector<std::string> files(const std::string& part) {
    std::vector<std::string> names;
    for (const auto& name : list_dir(temp.fd()))
      if (name.find(part) != name.npos) names.push_back(name);
    return names;
  }
  Error failure() {
    return error_of([&] { contents(*store); });
  }

  TempDir temp;
  std::shared_ptr<Store> store = open_store(temp.path(), kOpenedEach);
};

TEST_F(DamageTest, OfCurrent) {
  std::string good = read_file_at(temp.fd(), "CURRENT");
  for (const char* bad : {"", "x", "MANIFEST-999999\n", "MANIFEST-000001"}) {
    replace_file_at(temp.fd(), "CURRENT", bad, 0600, false);
    std::string file = std::string(bad).ends_with('\n') ? "MANIFEST-999999" : "CURRENT";
    expect_data_loss(failure(), temp.path(), file);
    expect_data_loss(error_of([&] { put(*store, "a", "1"); }), temp.path(), file);
  }
  replace_file_at(temp.fd(), "CURRENT", good, 0600, false);
  EXPECT_EQ(contents(*store).size(), 600u);
}

// LevelDB would begin a new database, and remove the old one's files.
TEST_F(DamageTest, OfAMissingCurrent) {
  std::string good = read_file_at(temp.fd(), "CURRENT");
  unlink_at(temp.fd(), "CURRENT");
  for (int i = 0; i < 2; ++i) expect_data_loss(failure(), temp.path(), "CURRENT");
  replace_file_at(temp.fd(), "CURRENT", good, 0600, false);
  EXPECT_EQ(contents(*store).size(), 600u);
}

TEST_F(DamageTest, OfTheManifest) {
  std::string name = files("MANIFEST").at(0);
  std::string bytes = read_file_at(temp.fd(), name);
  for (char& c : bytes) c = static_cast<char>(c ^ 0x55);
  replace_file_at(temp.fd(), name, bytes, 0600, false);
  expect_data_loss(failure(), temp.path(), name);
}

// A real one, of an hour ago: the tables that it names have been compacted away since.
TEST_F(DamageTest, OfAnOlderManifest) {
  std::string name = files("MANIFEST").at(0);
  std::string older = read_file_at(temp.fd(), name);
  for (int i = 0; i < 4000; ++i) put(*store, "k" + std::to_string(i), std::string(2000, 'y'));
  std::string newer_name = files("MANIFEST").at(0);
  std::string newer = read_file_at(temp.fd(), newer_name);
  replace_file_at(temp.fd(), newer_name, older, 0600, false);
  Error error = failure();
  EXPECT_EQ(error.code(), Code::kDataLoss) << error.what();
  EXPECT_THAT(error.message(), HasSubstr(".ldb"));
  EXPECT_THAT(std::string(error.find("hint")), HasSubstr("restore"));
  replace_file_at(temp.fd(), newer_name, newer, 0600, false);
  EXPECT_EQ(contents(*store).size(), 4000u);
}

TEST_F(DamageTest, OfATable) {
  std::string name = files(".ldb").at(0);
  std::string bytes = read_file_at(temp.fd(), name);
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  replace_file_at(temp.fd(), name, bytes, 0600, false);
  expect_data_loss(failure(), temp.path(), name);
}

TEST_F(DamageTest, OfAMissingTable) {
  std::string name = files(".ldb").at(0);
  unlink_at(temp.fd(), name);
  expect_data_loss(failure(), temp.path(), name);
}

TEST(Status, BecomesAnError) {
  struct {
    leveldb::Status status;
    Code code;
    int sys_errno;
  } rows[] = {
      {leveldb::Status::IOError("f", ::strerror(ENOSPC)), Code::kResourceExhausted, ENOSPC},
      {leveldb::Status::IOError("f", ::strerror(EDQUOT)), Code::kResourceExhausted, EDQUOT},
      {leveldb::Status::IOError("f", ::strerror(EFBIG)), Code::kResourceExhausted, EFBIG},
      {leveldb::Status::IOError("f", ::strerror(EMFILE)), Code::kResourceExhausted, EMFILE},
      {leveldb::Status::IOError("f", ::strerror(EROFS)), Code::kPermissionDenied, EROFS},
      {leveldb::Status::IOError("f", ::strerror(EIO)), Code::kInternal, EIO},
      {leveldb::Status::IOError("f", "something else"), Code::kInternal, EIO},
      {leveldb::Status::NotFound("f", ::strerror(ENOENT)), Code::kDataLoss, 0},
      {leveldb::Status::Corruption("bad block"), Code::kDataLoss, 0},
      {leveldb::Status::InvalidArgument("f", "comparator"), Code::kDataLoss, 0},
  };
  for (const auto& row : rows) {
    Error error = status_error(row.status, "open", "/root");
    EXPECT_EQ(error.code(), row.code) << error.what();
    EXPECT_EQ(error.sys_errno(), row.sys_errno);
    EXPECT_THAT(error.message(), testing::StartsWith("open the metadata in /root: "));
  }
}

TEST(Status, HidesTheDescriptor) {
  auto status = leveldb::Status::Corruption("missing files; e.g.", "/proc/self/fd/17/000005.ldb");
  EXPECT_THAT(status_error(status, "open", "/root").message(),
              HasSubstr("missing files; e.g.: 000005.ldb"));
}

}  // namespace
}  // namespace ctrd::store
