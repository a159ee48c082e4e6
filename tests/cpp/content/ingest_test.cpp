// SPDX-License-Identifier: Apache-2.0
// Ingests on the disk: one writer a ref, what is resumed and what is not, bad refs, digests and
// labels, and no way out of the root.
#include "content/ingest.h"

#include <sys/stat.h>

#include "base/process.h"
#include "content/fixture.h"
#include "metadata/leases.h"

namespace ctrd::content {
namespace {

using IngestTest = ContentTest;
constexpr const char* kPast = "2020-01-01T00:00:00Z";

TEST_F(IngestTest, OneWriterARef) {
  auto writer = open("ref");
  EXPECT_EQ(code_of([&] { open("ref"); }), Code::kUnavailable);
  EXPECT_EQ(code_of([&] { content().abort("one", "ref"); }), Code::kUnavailable);
  open("other");
  open("ref", {}, "two");  // another namespace's is another one
  writer->close();
  open("ref");
  content().abort("one", "ref");
  EXPECT_EQ(refs(), std::vector<std::string>{"other"});
}

TEST_F(IngestTest, OneThatIsUsedAgainIsNotAborted) {
  open("ref")->write("old");
  const int64_t since = wall_ns();
  auto abort = [&](const std::string& ref) {
    return content().abort_unused("one", ref, since, {});
  };
  auto writer = open("ref");
  EXPECT_FALSE(abort("ref"));  // somebody writes it
  writer->write("er");
  writer->close();
  EXPECT_FALSE(abort("ref"));  // has written to it
  EXPECT_EQ(content().ingest("one", "ref").offset, 5u);
  open("leased")->write("old");
  open("left")->write("old");
  const int64_t later = wall_ns();
  metadata::Leases leases(std::make_shared<metadata::Ledger>(root.store));
  leases.create("one", {.id = "l/1"}, {});
  leases.create("one", {.id = "l/2", .labels = {{"containerd.io/gc.expire", kPast}}}, {});
  leases.add("one", "l/1", {metadata::ObjectKind::kIngest, "leased"}, {});
  leases.add("one", "l/2", {metadata::ObjectKind::kIngest, "left"}, {});
  EXPECT_FALSE(content().abort_unused("one", "leased", later, {}));
  EXPECT_TRUE(content().abort_unused("one", "left", later, {}));
  EXPECT_FALSE(content().abort_unused("one", "left", later, {}));  // is gone
  EXPECT_TRUE(content().abort_unused("one", "ref", later, {}));
  EXPECT_EQ(refs(), std::vector<std::string>{"leased"});
}

TEST_F(IngestTest, HasTheFilesThatItsHeaderNames) {
  auto writer = open("a/b ../c", {{}, 7});
  writer->write("1234");
  Sha256 hash;
  hash.update("one/a/b ../c");
  ASSERT_EQ(ingest_dirs(), std::vector<std::string>{hash.hex()});
  std::string dir = temp.path("content/ingest/" + hash.hex());
  EXPECT_EQ(names_in(dir),
            (std::vector<std::string>{"boot", "data", "lock", "ref", "startedat", "total"}));
  EXPECT_EQ(read_file_at(temp.fd(), "content/ingest/" + hash.hex() + "/ref"), "one/a/b ../c");
  writer->close();
  EXPECT_EQ(names_in(dir),
            (std::vector<std::string>{"data", "lock", "ref", "startedat", "total", "updatedat"}));
  EXPECT_EQ(content().ingest("one", "a/b ../c").total, 7u);
}

TEST_F(IngestTest, AnotherTotalIsRefused) {
  open("ref", {{}, 7})->write("1");
  Error error = error_of([&] { open("ref", {{}, 8}); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_EQ(open("ref")->status().total, 7u);
}

// What was not synced may be torn after a power loss, so only what was closed is trusted then.
TEST_F(IngestTest, AfterAPowerLossOnlyWhatWasClosedIsResumed) {
  auto boot_of = [&] { return temp.path("content/ingest/" + ingest_dirs().at(0) + "/boot"); };
  auto writer = open("ref");
  writer->write("torn");
  auto reboot = [&](const std::string& path) {
    UniqueFd dir = open_dir(path.substr(0, path.rfind('/')));
    replace_file_at(dir.get(), "boot", "another", 0600, false);
  };
  std::string path = boot_of();
  writer->close();
  EXPECT_EQ(open("ref")->status().offset, 4u);
  reboot(path);  // as if it had not been closed
  writer = open("ref");
  EXPECT_EQ(writer->status().offset, 0u);
  EXPECT_EQ(writer->digest(), digest_of(""));
}

TEST_F(IngestTest, AHalfMadeOneIsNoneAndIsMadeAnew) {
  open("ref")->write("old");
  UniqueFd dir = open_dir(temp.path("content/ingest/" + ingest_dirs().at(0)));
  unlink_at(dir.get(), "ref");
  EXPECT_TRUE(refs().empty());
  EXPECT_EQ(code_of([&] { content().abort("one", "ref"); }), Code::kNotFound);
  auto writer = open("ref");
  EXPECT_EQ(writer->status().offset, 0u);
  writer->write("new");
  writer->commit({digest_of("new"), 3}, {}, {});
  EXPECT_EQ(read(digest_of("new")), "new");
}

TEST_F(IngestTest, WhatASealedOneLeftCanBeWritten) {
  open("ref")->write("abc");
  std::string data = temp.path("content/ingest/" + ingest_dirs().at(0) + "/data");
  ASSERT_EQ(::chmod(data.c_str(), 0444), 0);
  auto writer = open("ref");
  writer->write("d");
  writer->commit({digest_of("abcd"), 4}, {}, {});
  EXPECT_EQ(read(digest_of("abcd")), "abcd");
}

TEST_F(IngestTest, ABlobIsReadOnly) {
  write_blob("abc");
  struct stat facts {};
  std::string path = temp.path("content/blobs/sha256/" + digest_of("abc").substr(7));
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0444u);
  EXPECT_EQ(facts.st_nlink, 1u);
}

TEST_F(IngestTest, BadNames) {
  std::string hex(64, 'a');
  const std::vector<std::string> digests = {"",
                                            "sha256:",
                                            "sha256:../../" + hex.substr(6),
                                            "sha256:" + hex.substr(1),
                                            "sha256:" + hex + "a",
                                            "sha512:" + hex + hex,
                                            "SHA256:" + hex,
                                            "sha256:" + std::string(64, 'A'),
                                            "sha256:../x",
                                            "sha256:" + hex.substr(1) + "/",
                                            "md5:" + hex,
                                            hex,
                                            "sha256:" + hex.substr(1) + std::string(1, '\0')};
  for (const std::string& digest : digests) {
    EXPECT_EQ(code_of([&] { open("ref", {digest, {}}); }), Code::kInvalidArgument) << digest;
    EXPECT_EQ(code_of([&] { content().open("one", digest, {}); }), Code::kInvalidArgument);
    EXPECT_EQ(code_of([&] { content().remove("one", digest, {}); }), Code::kInvalidArgument);
    EXPECT_EQ(code_of([&] { content().records().update("one", digest, {}, {}); }),
              Code::kInvalidArgument);
    EXPECT_EQ(error_of([&] { content().records().get("one", digest, {}); }).find("field"),
              "digest");
  }
  for (const std::string& ref : {std::string(), std::string(4097, 'r')})
    EXPECT_EQ(error_of([&] { open(ref); }).find("field"), "ref");
  EXPECT_EQ(error_of([&] { open("ref", {}, "a/b"); }).find("field"), "namespace");
  EXPECT_EQ(code_of([&] { content().ingests("."); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] { content().ingests(""); }), Code::kFailedPrecondition);
  EXPECT_TRUE(names_in(temp.path("content")).empty());  // no file is made
  open(std::string(4096, 'r'));
}

TEST_F(IngestTest, WhatIsAbsentIsNotFound) {
  std::string digest = digest_of("nothing");
  EXPECT_EQ(code_of([&] { content().open("one", digest, {}); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { content().remove("one", digest, {}); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { content().records().get("one", digest, {}); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { content().records().update("one", digest, {}, {}); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { content().ingest("one", "ref"); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { content().abort("one", "ref"); }), Code::kNotFound);
}

TEST_F(IngestTest, LabelsHaveALimit) {
  std::string key(96, 'k');
  write_blob("fits", "one", {{key, std::string(4000, 'v')}});
  EXPECT_EQ(code_of([&] {
              write_blob("not", "one", {{key, std::string(4001, 'v')}});
            }),
            Code::kInvalidArgument);
  auto& records = content().records();
  EXPECT_EQ(code_of([&] {
              records.update("one", digest_of("fits"), {{key, std::string(4001, 'v')}}, {});
            }),
            Code::kInvalidArgument);
  EXPECT_EQ(records.get("one", digest_of("fits"), {}).labels.at(key).size(), 4000u);
  EXPECT_EQ(blobs().size(), 1u);
}

TEST_F(IngestTest, ListsTakeFilters) {
  write_blob("a", "one", {{"app", "web"}});
  write_blob("b", "one", {{"app", "db"}, {"x.y/z", "1"}});
  write_blob("c", "two", {{"app", "web"}});
  auto found = content().list("one", {"labels.app==web"}, {});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].digest, digest_of("a"));
  EXPECT_EQ(content().list("one", {}, {}).size(), 2u);
  EXPECT_EQ(content().list("one", {"labels.\"x.y/z\"", "digest==" + digest_of("a")}, {}).size(),
            2u);
  EXPECT_TRUE(content().list("one", {"size==1"}, {}).empty());
  EXPECT_EQ(code_of([&] { content().list("one", {"labels.app=="}, {}); }), Code::kInvalidArgument);
  open("in-a"), open("in-b");
  EXPECT_EQ(content().ingests("one", {"ref~=-b$"}).size(), 1u);
  EXPECT_EQ(code_of([&] { content().ingests("one", {"ref~=("}); }), Code::kInvalidArgument);
}

TEST_F(IngestTest, SymlinksLeadNowhere) {
  TempDir outside;
  write_blob("abc");
  std::string hex = digest_of("abc").substr(7), path = temp.path("content/blobs/sha256/" + hex);
  create_file_at(outside.fd(), "secret", "abc", 0600);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::symlink(outside.path("secret").c_str(), path.c_str()), 0);
  EXPECT_EQ(code_of([&] { content().open("one", digest_of("abc"), {}); }), Code::kInvalidArgument);
  ASSERT_EQ(::mkdir(temp.path("content/ingest").c_str(), 0700) == 0 || errno == EEXIST, true);
  Sha256 hash;
  hash.update("one/ref");
  std::string dir = temp.path("content/ingest/" + hash.hex());
  ASSERT_EQ(::symlink(outside.path().c_str(), dir.c_str()), 0);
  EXPECT_EQ(code_of([&] { open("ref"); }), Code::kInvalidArgument);
  EXPECT_EQ(names_in(outside.path()), std::vector<std::string>{"secret"});
}

TEST_F(IngestTest, AMissingOrCutBlobIsDataLossWithItsPath) {
  write_blob("abc");
  std::string hex = digest_of("abc").substr(7), path = temp.path("content/blobs/sha256/" + hex);
  ASSERT_EQ(::truncate(path.c_str(), 2), 0);
  Error error = error_of([&] { content().open("one", digest_of("abc"), {}); });
  EXPECT_EQ(error.code(), Code::kDataLoss);
  EXPECT_EQ(error.find("path"), path);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  error = error_of([&] { content().open("one", digest_of("abc"), {}); });
  EXPECT_EQ(error.code(), Code::kDataLoss);
  EXPECT_EQ(error.find("path"), path);
  content().remove("one", digest_of("abc"), {});  // goes all the same
  EXPECT_TRUE(content().list("one", {}, {}).empty());
}

// What is wrong with a blob's file, and whether its digest is expected when it comes again.
struct Damage {
  const char* what;
  bool expected;
};
struct Healing : ContentTest, testing::WithParamInterface<Damage> {
  void SetUp() override {
    write_blob("abc");
    ASSERT_EQ(::unlink(path.c_str()), 0);
    const std::string bytes = GetParam().what;
    UniqueFd dir = open_dir(temp.path("content/blobs/sha256"));
    if (bytes != "missing") create_file_at(dir.get(), digest.substr(7), bytes, 0444);
  }
  // The code of the commit's error, kOk for none.
  Code ingest(const std::string& ns) {
    auto writer =
        open("again", {GetParam().expected ? std::optional(digest) : std::nullopt, {}}, ns);
    EXPECT_FALSE(writer->is_shared());
    writer->write("abc");
    try {
      writer->commit({digest, 3}, {}, {});
    } catch (const Error& error) {
      return error.code();
    }
    return Code::kOk;
  }
  const std::string digest = digest_of("abc");
  const std::string path = temp.path("content/blobs/sha256/" + digest.substr(7));
};

TEST_P(Healing, OfItsOwnNamespacesBlob) {
  EXPECT_EQ(ingest("one"), Code::kAlreadyExists);
  EXPECT_EQ(read(digest), "abc");
  EXPECT_TRUE(content().is_whole(digest, {}));
  EXPECT_TRUE(ingest_dirs().empty());
  EXPECT_EQ(blobs().size(), 1u);
}

TEST_P(Healing, OfAnotherNamespacesBlob) {
  EXPECT_EQ(ingest("two"), Code::kOk);
  for (const char* ns : {"one", "two"}) EXPECT_EQ(read(digest, ns), "abc");
  EXPECT_TRUE(ingest_dirs().empty());
}

// The record of a lease that is not there cannot be written: all is as it was.
TEST_P(Healing, IsUndoneWithoutARecord) {
  metadata::Leases leases(std::make_shared<metadata::Ledger>(root.store));
  leases.create("two", {.id = "l"}, {});
  auto writer = content().open_writer("two", "again", {}, {}, "l");
  writer->write("abc");
  leases.remove("two", "l", {});
  EXPECT_EQ(code_of([&] { writer->commit({digest, 3}, {}, {}); }), Code::kNotFound);
  EXPECT_FALSE(content().is_whole(digest, {}));
  EXPECT_EQ(blobs().size(), GetParam().what == std::string("missing") ? 0u : 1u);
  EXPECT_EQ(open("again", {}, "two")->digest(), digest);
}

INSTANTIATE_TEST_SUITE_P(All, Healing,
                         testing::Values(Damage{"missing", false}, Damage{"missing", true},
                                         Damage{"ab", false}, Damage{"ab", true},
                                         Damage{"abd", false}, Damage{"abd", true}));

TEST_F(IngestTest, WhatWasDeletedCanComeAgain) {
  for (int round = 0; round < 3; ++round) {
    write_blob("abc");
    EXPECT_EQ(read(digest_of("abc")), "abc");
    content().remove("one", digest_of("abc"), {});
    EXPECT_TRUE(blobs().empty());
  }
  expect_nothing_left();
}

TEST_F(IngestTest, TrashThatHasARecordAgainStays) {
  write_blob("abc");
  std::string hex = digest_of("abc").substr(7);
  content().remove_unheld(hex, {});
  EXPECT_EQ(read(digest_of("abc")), "abc");
  content().remove("one", digest_of("abc"), {});
  content().remove_unheld(hex, {});
  EXPECT_TRUE(blobs().empty());
}

}  // namespace
}  // namespace ctrd::content
