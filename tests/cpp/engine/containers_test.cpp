// SPDX-License-Identifier: Apache-2.0
// Records: create, get, list, update, delete, and what is refused. No runtime is run, but for the
// first probe.
#include <unistd.h>

#include <filesystem>

#include "base/files.h"
#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

class ContainersTest : public EngineTest {
 protected:
  CreateOptions named(const std::string& id) {
    CreateOptions result = options({"/bin/true"});
    result.id = id;
    return result;
  }
  // The error of a create; its field too.
  Code refused(const CreateOptions& options, const std::string& field = "") {
    Error error(Code::kOk, "");
    Code code = code_of([&] { engine().create(kNs, options, soon()); }, &error);
    if (!field.empty()) {
      EXPECT_EQ(error.find("field"), field) << error.message();
    }
    return code;
  }
};

TEST_F(ContainersTest, WhatWasGivenComesBack) {
  CreateOptions options = named("web.1");
  options.labels = {{"env", "ci"}, {"tier", "front"}};
  options.spec.annotations = {{"a", "b"}};
  ContainerInfo made = engine().create(kNs, options, soon());
  EXPECT_EQ(made.id, "web.1");
  EXPECT_EQ(made.labels, options.labels);
  EXPECT_EQ(made.rootfs, real_path(rootfs_));
  EXPECT_EQ(made.owner_pid, ::getpid());
  EXPECT_FALSE(made.detached);
  EXPECT_TRUE(made.runtime.starts_with('/')) << made.runtime;
  EXPECT_EQ(made.status, TaskStatus::kNone);
  EXPECT_GT(made.created_ns, 0);
  ContainerInfo read = engine().get(kNs, "web.1", soon());
  EXPECT_EQ(read.created_ns, made.created_ns);
  EXPECT_EQ(read.labels, made.labels);
  EXPECT_EQ(read.annotations.at("a"), "b");
  EXPECT_NE(engine().spec(kNs, "web.1", soon()).find("/bin/true"), std::string::npos);
}

TEST_F(ContainersTest, IdsAreMadeUpWhenAbsent) {
  std::string one = create({"/bin/true"});
  std::string two = create({"/bin/true"});
  EXPECT_EQ(one.size(), 12u);
  EXPECT_NE(one, two);
}

TEST_F(ContainersTest, BadIdsAreRefusedEverywhere) {
  for (const std::string& id : {std::string("."), std::string(".."), std::string("a/b"),
                                std::string("a\0b", 3), std::string("-rf"), std::string(77, 'a'),
                                std::string("\xc3\xa9"), std::string("a\n"), std::string("a..b")}) {
    EXPECT_EQ(refused(named(id), "id"), Code::kInvalidArgument) << escaped(id);
    EXPECT_EQ(code_of([&] { engine().get(kNs, id, soon()); }), Code::kInvalidArgument);
    EXPECT_EQ(code_of([&] { engine().remove(kNs, id, true, true, soon()); }),
              Code::kInvalidArgument);
    EXPECT_EQ(code_of([&] { engine().create_task(kNs, id, {}, false, soon()); }),
              Code::kInvalidArgument);
    EXPECT_EQ(code_of([&] { engine().list(id, {}, soon()); }), Code::kInvalidArgument);
    EXPECT_FALSE(engine().contains(kNs, id, soon()));
  }
  EXPECT_EQ(refused(named(std::string(76, 'a'))), Code::kOk);
  EXPECT_EQ(refused(named("case")), Code::kOk);
  EXPECT_EQ(refused(named("Case")), Code::kOk);
}

TEST_F(ContainersTest, AnIdIsTakenOnce) {
  engine().create(kNs, named("c"), soon());
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { engine().create(kNs, named("c"), soon()); }, &error),
            Code::kAlreadyExists);
  EXPECT_EQ(error.kind(), Kind::kContainer);
  engine().create("other", named("c"), soon());  // namespaces are apart
  EXPECT_TRUE(engine().remove("other", "c", false, false, soon()));
  ASSERT_TRUE(std::filesystem::remove(state_ + "/other"));
}

TEST_F(ContainersTest, ReplaceTakesTheOldOneAway) {
  CreateOptions options = named("c");
  options.labels = {{"n", "1"}};
  engine().create(kNs, options, soon());
  engine().create_task(kNs, "c", {}, false, soon());
  options.replace = true;
  options.labels = {{"n", "2"}};
  engine().create(kNs, options, soon());
  EXPECT_EQ(engine().get(kNs, "c", soon()).labels.at("n"), "2");
  EXPECT_EQ(engine().status(kNs, "c", soon()), TaskStatus::kNone);
  engine().create(
      kNs,
      [&] {
        auto fresh = options;
        fresh.id = "d";
        return fresh;
      }(),
      soon());
}

TEST_F(ContainersTest, BadRootfsAndRuntimeAreNamed) {
  CreateOptions options = named("c");
  options.rootfs = "";
  EXPECT_EQ(refused(options, "rootfs"), Code::kInvalidArgument);
  options.rootfs = top_ + "/nosuch";
  EXPECT_EQ(refused(options, "rootfs"), Code::kNotFound);
  options.rootfs = rootfs_ + "/bin/busybox";
  EXPECT_EQ(refused(options, "rootfs"), Code::kInvalidArgument);
  options = named("c");
  options.runtime = "no-runc";
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { engine().create(kNs, options, soon()); }, &error), Code::kNotFound);
  EXPECT_NE(error.message().find("\"no-runc\""), std::string::npos);
  options.runtime = "io.example.nosuch.v9";  // another shim
  EXPECT_EQ(refused(options, "runtime"), Code::kNotFound);
  options.runtime = "io.v9";
  EXPECT_EQ(refused(options, "runtime"), Code::kInvalidArgument);
  options = named("c");
  options.labels = {{"k", std::string(4096, 'v')}};
  EXPECT_EQ(refused(options), Code::kInvalidArgument);
  EXPECT_EQ(refused(named("c")), Code::kOk);
}

TEST_F(ContainersTest, AMissingShimIsNamed) {
  Config other = config();
  other.shim = top_ + "/no-shim";
  auto engine = Engine::open(other);
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { engine->create(kNs, named("c"), soon()); }, &error), Code::kNotFound);
  EXPECT_NE(error.message().find(other.shim), std::string::npos);
  create({"/bin/true"});  // with a shim
  std::string id = create({"/bin/true"});
  EXPECT_EQ(code_of([&] { engine->create_task(kNs, id, {}, false, soon()); }, &error),
            Code::kNotFound);
  EXPECT_NE(error.message().find(other.shim), std::string::npos);
  engine->close(soon());
}

TEST_F(ContainersTest, ListsFilterAndLimit) {
  for (const char* id : {"a", "b", "c"}) {
    CreateOptions options = named(id);
    options.labels = {{"id", id}};
    if (*id == 'b') options.labels["odd"] = "yes";
    engine().create(kNs, options, soon());
  }
  engine().create_task(kNs, "c", {}, false, soon());
  auto ids = [&](const ListOptions& options) {
    std::string all;
    for (const auto& info : engine().list(kNs, options, soon())) all += info.id;
    return all;
  };
  EXPECT_EQ(ids({}), "abc");
  EXPECT_EQ(ids({{}, {{"odd", std::nullopt}}, {}, {}}), "b");
  EXPECT_EQ(ids({{}, {{"id", "c"}}, {}, {}}), "c");
  EXPECT_EQ(ids({{}, {}, {TaskStatus::kCreated}, {}}), "c");
  EXPECT_EQ(ids({{}, {}, {TaskStatus::kNone}, {}}), "ab");
  EXPECT_EQ(ids({{}, {}, {}, 2}), "ab");
  EXPECT_EQ(ids({{"labels.id~=[ac],id!=a"}, {}, {}, {}}), "c");
  EXPECT_EQ(ids({{"labels.odd", "id==a"}, {{"id", "a"}}, {}, {}}), "a");
  EXPECT_EQ(code_of([&] { ids({{"id=a"}, {}, {}, {}}); }), Code::kInvalidArgument);
  EXPECT_TRUE(engine().list("empty", {}, soon()).empty());
}

TEST_F(ContainersTest, UpdatesChangeLabelsAndAnnotations) {
  CreateOptions options = named("c");
  options.labels = {{"keep", "1"}, {"drop", "2"}};
  ContainerInfo made = engine().create(kNs, options, soon());
  ContainerInfo now = engine().update(
      kNs, "c", {.labels = {{"drop", std::nullopt}, {"new", "3"}}, .annotations = {{"note", "x"}}},
      soon());
  EXPECT_EQ(now.labels, (std::map<std::string, std::string>{{"keep", "1"}, {"new", "3"}}));
  EXPECT_EQ(now.annotations.at("note"), "x");
  EXPECT_GE(now.updated_ns, made.updated_ns);
  EXPECT_EQ(now.created_ns, made.created_ns);
  EXPECT_NE(engine().spec(kNs, "c", soon()).find("\"note\""), std::string::npos);
  EXPECT_EQ(code_of([&] { engine().update(kNs, "nosuch", {}, soon()); }), Code::kNotFound);
}

TEST_F(ContainersTest, DeleteTwiceIsNotFoundUnlessAllowed) {
  std::string id = create({"/bin/true"});
  EXPECT_TRUE(engine().remove(kNs, id, false, false, soon()));
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { engine().remove(kNs, id, false, false, soon()); }, &error),
            Code::kNotFound);
  EXPECT_EQ(error.kind(), Kind::kContainer);
  EXPECT_FALSE(engine().remove(kNs, id, false, true, soon()));
}

TEST_F(ContainersTest, TwoEnginesOnOneRootSeeTheSame) {
  std::string id = create({"/bin/sleep", "1000"});
  auto other = open();
  EXPECT_EQ(other->get(kNs, id, soon()).id, id);
  other->create_task(kNs, id, {}, false, soon());
  engine().start_task(task(id), soon());
  EXPECT_EQ(other->status(kNs, id, soon()), TaskStatus::kRunning);
  other->close(soon());  // takes only what it made
  EXPECT_EQ(engine().status(kNs, id, soon()), TaskStatus::kRunning);
  EXPECT_TRUE(engine().remove(kNs, id, true, false, soon()));
}

TEST_F(ContainersTest, AClosedEngineRefusesAndHasTakenItsOwn) {
  engine();
  auto other = open();
  CreateOptions detached = named("stays");
  detached.detached = true;
  other->create(kNs, detached, soon());
  other->create(kNs, named("goes"), soon());
  other->create_task(kNs, "goes", {}, false, soon());
  other->close(soon());
  other->close(soon());
  EXPECT_TRUE(other->closed());
  EXPECT_EQ(code_of([&] { other->list(kNs, {}, soon()); }), Code::kFailedPrecondition);
  EXPECT_FALSE(engine().contains(kNs, "goes", soon()));
  EXPECT_TRUE(open()->remove(kNs, "stays", false, false, soon()));
}

TEST_F(ContainersTest, DetachedOnesHaveNoOwner) {
  std::string id = start({"/bin/sleep", "1000"});
  engine().detach(kNs, id, soon());
  ContainerInfo info = engine().get(kNs, id, soon());
  EXPECT_TRUE(info.detached);
  EXPECT_EQ(info.owner_pid, 0);
  engine().close(soon());
  auto next = open();
  EXPECT_EQ(next->status(kNs, id, soon()), TaskStatus::kRunning);
  EXPECT_TRUE(next->remove(kNs, id, true, false, soon()));
}

}  // namespace
}  // namespace ctrd::engine
