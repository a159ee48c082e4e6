// SPDX-License-Identifier: Apache-2.0
// containerd's list for content stores (core/content/testsuite), case by case: semantics.md S10.
#include "content/fixture.h"

namespace ctrd::content {
namespace {

using Conformance = ContentTest;

TEST_F(Conformance, Writer) {
  std::string bytes = random_bytes(4096), digest = digest_of(bytes);
  auto writer = open("c1", {digest, bytes.size()});
  writer->write(bytes);
  EXPECT_EQ(writer->digest(), digest);
  EXPECT_EQ(code_of([&] { content().open("one", digest, {}); }), Code::kNotFound);
  auto blob = writer->commit({digest, bytes.size()}, {}, {});
  EXPECT_EQ(blob.digest, digest);
  EXPECT_EQ(blob.size, bytes.size());
  EXPECT_EQ(read(digest), bytes);
  EXPECT_EQ(code_of([&] { content().ingest("one", "c1"); }), Code::kNotFound);
  EXPECT_TRUE(ingest_dirs().empty());
  EXPECT_EQ(blobs(), std::vector<std::string>{digest.substr(7)});
}

TEST_F(Conformance, UpdateStatus) {
  std::string bytes = random_bytes(256), digest = digest_of(bytes);
  auto writer = open("c1", {{}, bytes.size()});
  auto begun = content().ingest("one", "c1");
  EXPECT_EQ(begun.offset, 0u);
  EXPECT_EQ(begun.total, bytes.size());
  EXPECT_GT(begun.started_ns, 1'600'000'000'000'000'000);
  for (std::size_t part : {64u, 64u, 128u}) {
    auto before = writer->status();
    writer->write(std::string_view(bytes).substr(before.offset, part));
    auto after_it = content().ingest("one", "c1");
    EXPECT_EQ(after_it.offset, before.offset + part);
    EXPECT_EQ(writer->status().offset, after_it.offset);
    EXPECT_EQ(after_it.started_ns, begun.started_ns);
    EXPECT_GE(after_it.updated_ns, before.updated_ns - 10'000'000);  // a file's clock is coarse
  }
  ASSERT_EQ(content().ingests("one").size(), 1u);
  EXPECT_TRUE(content().ingests("two").empty());
  EXPECT_EQ(code_of([&] { content().ingest("two", "c1"); }), Code::kNotFound);
  writer->commit({digest, {}}, {}, {});
  EXPECT_TRUE(content().ingests("one").empty());
}

TEST_F(Conformance, CommitExists) {
  std::string bytes = random_bytes(256), digest = digest_of(bytes);
  write_blob(bytes);
  EXPECT_EQ(code_of([&] { open("c2", {digest, {}}); }), Code::kAlreadyExists);
  auto writer = open("c2");
  writer->write(bytes);
  EXPECT_EQ(code_of([&] { writer->commit({digest, bytes.size()}, {}, {}); }), Code::kAlreadyExists);
  EXPECT_TRUE(refs().empty());
  EXPECT_EQ(read(digest), bytes);
}

struct Resume : ContentTest {
  // The first half is there; `go_on` writes what is missing.
  void check(const std::function<void(Writer&)>& go_on) {
    open("ref")->write(first);
    auto writer = open("ref", {digest, bytes.size()});
    EXPECT_EQ(writer->status().offset, first.size());
    EXPECT_EQ(writer->digest(), digest_of(first));
    go_on(*writer);
    writer->commit({digest, bytes.size()}, {}, {});
    EXPECT_EQ(read(digest), bytes);
    EXPECT_TRUE(refs().empty());
  }
  std::string bytes = random_bytes(3 << 20), digest = digest_of(bytes);
  std::string first = bytes.substr(0, 1'234'567), rest = bytes.substr(first.size());
};

TEST_F(Resume, Truncate) {
  check([&](Writer& writer) {
    EXPECT_EQ(code_of([&] { writer.truncate(1); }), Code::kInvalidArgument);
    EXPECT_EQ(writer.status().offset, first.size());
    writer.truncate(0);
    EXPECT_EQ(writer.status().offset, 0u);
    EXPECT_EQ(writer.digest(), digest_of(""));
    writer.write(bytes);
  });
}

TEST_F(Resume, Discard) {  // abort, and once more
  open("ref")->write(random_bytes(100));
  content().abort("one", "ref");
  EXPECT_EQ(code_of([&] { content().abort("one", "ref"); }), Code::kNotFound);
  check([&](Writer& writer) { writer.write(rest); });
}

TEST_F(Resume, CopySeekAndReaderAt) {  // the source is read from the offset on, in parts
  check([&](Writer& writer) {
    while (writer.status().offset < bytes.size())
      writer.write(std::string_view(bytes).substr(writer.status().offset, 65'537));
  });
}

TEST_F(Conformance, SmallBlob) {
  for (std::string bytes : {std::string(), std::string("x"), std::string("\0\n", 2)}) {
    EXPECT_EQ(write_blob(bytes).size, bytes.size());
    EXPECT_EQ(read(digest_of(bytes)), bytes);
  }
}

TEST_F(Conformance, ReaderReadsAtOffsets) {
  std::string bytes = random_bytes(10'000), digest = digest_of(bytes);
  write_blob(bytes);
  UniqueFd reader = content().open("one", digest, {});
  char part[100];
  ASSERT_EQ(::pread(reader.get(), part, sizeof part, 5000), 100);
  EXPECT_EQ(std::string(part, 100), bytes.substr(5000, 100));
  EXPECT_EQ(::pread(reader.get(), part, sizeof part, 9990), 10);
  EXPECT_EQ(::pread(reader.get(), part, sizeof part, 10'000), 0);
  content().remove("one", digest, {});
  EXPECT_EQ(read_all(reader.get()), bytes);  // also afterwards
}

TEST_F(Conformance, Labels) {
  std::string bytes = random_bytes(64), digest = digest_of(bytes);
  write_blob(bytes, "one", {{"k1", "v1"}, {"k2", "v2"}, {"none", ""}});
  auto& records = content().records();
  EXPECT_EQ(records.get("one", digest, {}).labels, (metadata::Labels{{"k1", "v1"}, {"k2", "v2"}}));
  auto before = records.get("one", digest, {});
  auto changed = records.update("one", digest, {{"k1", {}}, {"k2", "new"}, {"k3", "v3"}}, {});
  EXPECT_EQ(changed.labels, (metadata::Labels{{"k2", "new"}, {"k3", "v3"}}));
  EXPECT_EQ(changed.created_ns, before.created_ns);
  EXPECT_GE(changed.updated_ns, before.updated_ns);
  EXPECT_EQ(records.get("one", digest, {}).labels, changed.labels);
  EXPECT_TRUE(records.update("one", digest, {{"k2", ""}, {"k3", ""}}, {}).labels.empty());
}

TEST_F(Conformance, CommitErrorState) {
  std::string one = random_bytes(256), d1 = digest_of(one);
  std::string d2 = digest_of("another");
  auto again = [&](const std::string& bytes) {
    auto writer = open("c1");
    writer->write(bytes);
    return writer;
  };
  auto writer = again(one);
  Error error = error_of([&] { writer->commit({d1, one.size() - 1}, {}, {}); });
  EXPECT_EQ(error.code(), Code::kDataLoss);
  EXPECT_EQ(error.find("expected"), "255");
  EXPECT_EQ(error.find("actual"), "256");
  // It is closed now, and what has come is kept.
  EXPECT_EQ(code_of([&] { writer->commit({}, {}, {}); }), Code::kFailedPrecondition);
  EXPECT_EQ(code_of([&] { writer->write("x"); }), Code::kFailedPrecondition);
  EXPECT_EQ(code_of([&] { writer->status(); }), Code::kFailedPrecondition);
  writer->close();
  writer->close();
  writer = again("");
  EXPECT_EQ(writer->status().offset, one.size());
  error = error_of([&] { writer->commit({d2, one.size()}, {}, {}); });
  EXPECT_EQ(error.code(), Code::kDataLoss);
  EXPECT_EQ(error.find("expected"), d2);
  EXPECT_EQ(error.find("actual"), d1);
  EXPECT_EQ(refs(), std::vector<std::string>{"c1"});
  EXPECT_TRUE(blobs().empty());
  // Wrong labels and a wrong digest's form, too.
  writer = again("");
  EXPECT_EQ(code_of([&] { writer->commit({}, {{"", "x"}}, {}); }), Code::kInvalidArgument);
  writer = again("");
  EXPECT_EQ(code_of([&] { writer->commit({"sha256:x", {}}, {}, {}); }), Code::kInvalidArgument);
  writer = again("");
  writer->commit({}, {}, {});  // no size and no digest: nothing is checked
  EXPECT_EQ(read(d1), one);
  // Existing content: with good, with wrong and without facts.
  writer = again(one);
  EXPECT_EQ(code_of([&] { writer->commit({d1, one.size()}, {}, {}); }), Code::kAlreadyExists);
  writer = again(one);
  EXPECT_EQ(code_of([&] { writer->commit({d1, 1}, {}, {}); }), Code::kDataLoss);
  writer = again("");
  EXPECT_EQ(code_of([&] { writer->commit({}, {}, {}); }), Code::kAlreadyExists);
  EXPECT_TRUE(ingest_dirs().empty());
}

struct CrossNamespace : ContentTest {
  void SetUp() override { write_blob(bytes, "one"); }
  std::string bytes = random_bytes(5000), digest = digest_of(bytes);
};

TEST_F(CrossNamespace, Append) {
  EXPECT_EQ(code_of([&] { content().open("two", digest, {}); }), Code::kNotFound);
  auto writer = open("ref", {digest, bytes.size()}, "two");
  EXPECT_TRUE(writer->is_shared());
  EXPECT_EQ(writer->status().offset, bytes.size());
  writer->write("appended bytes");
  std::string all = bytes + "appended bytes";
  EXPECT_EQ(writer->status().offset, all.size());
  writer->commit({digest_of(all), all.size()}, {}, {});
  EXPECT_EQ(read(digest_of(all), "two"), all);
  EXPECT_EQ(read(digest), bytes);  // the other's is untouched
  EXPECT_EQ(code_of([&] { content().open("two", digest, {}); }), Code::kNotFound);
}

TEST_F(CrossNamespace, Share) {
  auto writer = open("ref", {digest, bytes.size()}, "two");
  auto wrong = open("ref", {digest, {}}, "two");
  EXPECT_EQ(code_of([&] { wrong->commit({digest, 1}, {}, {}); }), Code::kDataLoss);
  writer->commit({digest, bytes.size()}, {{"k", "v"}}, {});
  EXPECT_EQ(read(digest, "two"), bytes);
  EXPECT_TRUE(content().records().get("one", digest, {}).labels.empty());
  EXPECT_EQ(blobs().size(), 1u);
  content().remove("one", digest, {});
  EXPECT_EQ(read(digest, "two"), bytes);
  content().remove("two", digest, {});
  EXPECT_TRUE(blobs().empty());
}

TEST_F(CrossNamespace, ShareOfWhatGoesMeanwhile) {
  auto writer = open("ref", {digest, {}}, "two");
  content().remove("one", digest, {});
  EXPECT_EQ(code_of([&] { writer->commit({}, {}, {}); }), Code::kNotFound);
  EXPECT_TRUE(content().records().list("two", {}).empty());
}

TEST_F(CrossNamespace, Isolate) {
  ContentRoot isolated(temp.path(), Sharing::kIsolated);
  auto writer = isolated.content.open_writer("two", "ref", {digest, bytes.size()}, {});
  EXPECT_FALSE(writer->is_shared());
  EXPECT_EQ(writer->status().offset, 0u);
  writer->write(bytes);
  writer->commit({digest, bytes.size()}, {}, {});
  EXPECT_EQ(read(digest, "two"), bytes);
  EXPECT_EQ(blobs().size(), 1u);
  EXPECT_TRUE(ingest_dirs().empty());
}

}  // namespace
}  // namespace ctrd::content
