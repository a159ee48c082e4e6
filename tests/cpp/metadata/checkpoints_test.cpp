// SPDX-License-Identifier: Apache-2.0
#include "metadata/checkpoints.h"

#include "metadata/fixture.h"
#include "metadata/namespaces.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct CheckpointsTest : ContainersTest {
  Checkpoint made(const std::string& name, const std::string& ns = "default") {
    Checkpoint record;
    record.name = name;
    record.number = checkpoints.new_number({});
    record.container_id = "web";
    record.image = "docker.io/library/busybox:latest";
    record.tcp = "refuse";
    record.size = 1234;
    record.labels = {{"kind", name}};
    record.images = "4 00ff core-1.img\n";
    checkpoints.add(ns, record, {});
    return record;
  }
  std::vector<std::string> names(const std::string& filter = "",
                                 const std::string& ns = "default") {
    std::vector<std::string> all;
    for (const auto& record : checkpoints.list(ns, Filter({filter}), {}))
      all.push_back(record.name);
    return all;
  }
  Checkpoints checkpoints{containers.ledger()};
};

TEST_F(CheckpointsTest, AreFoundAsTheyWereAdded) {
  Checkpoint record = made("warm");
  Checkpoint found = checkpoints.get("default", "warm", {});
  EXPECT_EQ(encode(found), encode(record));
  EXPECT_EQ(found.name, "warm");
  EXPECT_FALSE(checkpoints.find("other", "warm", {}).has_value());
  EXPECT_EQ(code_of([&] { checkpoints.get("default", "cold", {}); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { made("warm"); }), Code::kAlreadyExists);
  EXPECT_EQ(code_of([&] { made("a/b"); }), Code::kInvalidArgument);
}

TEST_F(CheckpointsTest, AreListedByNameAndFiltered) {
  made("b");
  made("a");
  made("c", "other");
  EXPECT_THAT(names(), ElementsAre("a", "b"));
  EXPECT_THAT(names("labels.kind==b"), ElementsAre("b"));
  EXPECT_THAT(names("name~=^a,container==web"), ElementsAre("a"));
  EXPECT_THAT(names("image~=busybox,container!=web"), IsEmpty());
  EXPECT_THAT(names("", "other"), ElementsAre("c"));
  EXPECT_EQ(checkpoints.numbers({}).size(), 3u);
}

TEST_F(CheckpointsTest, GoOnce) {
  Checkpoint record = made("warm");
  EXPECT_EQ(checkpoints.remove("default", "warm", {})->number, record.number);
  EXPECT_FALSE(checkpoints.remove("default", "warm", {}).has_value());
  EXPECT_NE(made("warm").number, record.number);
}

TEST_F(CheckpointsTest, KeepTheirNamespace) {
  made("warm", "ci");
  Namespaces namespaces(containers.ledger());
  try {
    namespaces.remove("ci", {});
    ADD_FAILURE() << "it went";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    EXPECT_THAT(error.message(), HasSubstr("checkpoints (warm)"));
  }
  checkpoints.remove("ci", "warm", {});
  namespaces.remove("ci", {});
}

TEST_F(CheckpointsTest, ManifestsAreTrustedByDigest) {
  EXPECT_FALSE(checkpoints.is_trusted("sha256:11", {}));
  checkpoints.trust("sha256:11", {});
  EXPECT_TRUE(checkpoints.is_trusted("sha256:11", {}));
  EXPECT_FALSE(checkpoints.is_trusted("sha256:1", {}));
}

}  // namespace
}  // namespace ctrd::metadata
