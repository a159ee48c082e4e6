// SPDX-License-Identifier: Apache-2.0
#include "metadata/containers.h"
#include "metadata/fixture.h"
#include "metadata/leases.h"
#include "metadata/schema.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

TEST_F(ContainersTest, OwnersKnowTheirRecords) {
  uint64_t first = containers.new_owner({{1, 2, "boot"}, "/run/a"}, {});
  uint64_t second = containers.new_owner({{3, 4, "boot"}, "/run/b"}, {});
  EXPECT_NE(first, second);
  Container given = record("web");
  given.owner = first;
  containers.create("default", given, "{}", {});
  containers.create("other", given, "{}", {});
  given.id = "third";
  given.owner = second;
  containers.create("default", given, "{}", {});
  EXPECT_THAT(containers.owned(first, {}),
              ElementsAre(Pair("default", "web"), Pair("other", "web")));
  auto owners = containers.owners({});
  ASSERT_EQ(owners.size(), 2u);
  EXPECT_EQ(owners[1].first, second);
  EXPECT_EQ(owners[1].second.process, (ProcessKey{3, 4, "boot"}));
  EXPECT_EQ(owners[1].second.state, "/run/b");
}

TEST_F(ContainersTest, AnOwnerIsForgottenAfterItsRecords) {
  uint64_t owner = containers.new_owner({{1, 2, "boot"}, "/run/a"}, {});
  Container given = record("web");
  given.owner = owner;
  containers.create("default", given, "{}", {});
  containers.forget_owner(owner, {});
  EXPECT_EQ(containers.owners({}).size(), 1u);
  containers.remove("default", "web", {});
  containers.forget_owner(owner, {});
  EXPECT_THAT(containers.owners({}), IsEmpty());
  containers.forget_owner(owner, {});
  EXPECT_GT(containers.new_owner({}, {}), owner);
}

// A process goes on with its number when the database was made anew without it.
TEST_F(ContainersTest, AnOwnerComesBackWithWhatItMakes) {
  const ProcessKey process{1, 2, "boot"};
  containers.check_state({"token", "boot", "/run/a"}, {});
  Container given = record("web");
  given.owner = 7;
  given.owner_process = process;
  containers.create("default", given, "{}", {});
  auto owners = containers.owners({});
  ASSERT_EQ(owners.size(), 1u);
  EXPECT_EQ(owners[0].first, 7u);
  EXPECT_EQ(owners[0].second.process, process);
  EXPECT_EQ(owners[0].second.state, "/run/a");
  Leases leases(containers.ledger());
  leases.create("default", {.id = "a", .owner = 8, .owner_process = process}, {});
  leases.create("default", {.id = "b", .owner = 7, .owner_process = {3, 4, "boot"}}, {});
  owners = containers.owners({});
  ASSERT_EQ(owners.size(), 2u);
  EXPECT_EQ(owners[0].second.process, process);  // one that is there stays as it is
  EXPECT_EQ(owners[1].first, 8u);
}

TEST_F(ContainersTest, TrashIsForgottenAtOnce) {
  create("web");
  auto trash = containers.remove("default", "web", {})->trash;
  auto listed = containers.trash({});
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].first, trash[0].first);
  EXPECT_EQ(listed[0].second.name, trash[0].second.name);
  containers.forget_trash({trash[0].first}, {});
  containers.forget_trash({trash[0].first}, {});
  containers.forget_trash({}, {});
  EXPECT_THAT(containers.trash({}), IsEmpty());
}

TEST_F(ContainersTest, TrashIsForgottenWithTheNextBatch) {
  create("web");
  auto trash = containers.remove("default", "web", {})->trash;
  containers.forget_trash_later({trash[0].first});
  EXPECT_EQ(containers.trash({}).size(), 1u);
  containers.remove("default", "absent", {});  // writes nothing
  EXPECT_EQ(containers.trash({}).size(), 1u);
  EXPECT_EQ(code_of([&] { create("a/b"); }), Code::kInvalidArgument);
  create("next");
  EXPECT_THAT(containers.trash({}), IsEmpty());
}

TEST_F(ContainersTest, FirstUseTakesTheState) {
  containers.check_state({"token", "boot", "/run/a"}, {});
  EXPECT_THAT(keys(), ElementsAre(".state", ".v"));
  containers.check_state({"token", "boot", "/run/a"}, {});
  containers.check_state({"token", "boot", "/elsewhere/same/token"}, {});
}

TEST_F(ContainersTest, AnotherStateInOneBootIsRefused) {
  containers.check_state({"token", "boot", "/run/a"}, {});
  Error error = error_of([&] { containers.check_state({"other", "boot", "/run/b"}, {}); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_EQ(error.kind(), Kind::kRoot);
  EXPECT_THAT(error.message(), HasSubstr("/run/a"));
  EXPECT_THAT(error.message(), HasSubstr("/run/b"));
  containers.check_state({"token", "boot", "/run/a"}, {});
}

TEST_F(ContainersTest, AnotherBootTakesTheNewState) {
  containers.check_state({"token", "boot", "/run/a"}, {});
  containers.check_state({"other", "boot 2", "/run/b"}, {});
  EXPECT_EQ(code_of([&] {
              containers.check_state({"token", "boot 2", "/run/a"}, {});
            }),
            Code::kFailedPrecondition);
}

TEST_F(ContainersTest, ANewerSchemaIsRefused) {
  put(key_version(), std::string("\x08\x04", 2));
  Error error = error_of([&] { containers.check_state({"token", "boot", "/run/a"}, {}); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_EQ(error.kind(), Kind::kRoot);
  EXPECT_THAT(error.message(), HasSubstr("version 4"));
  EXPECT_THAT(keys(), ElementsAre(".v"));
}

}  // namespace
}  // namespace ctrd::metadata
