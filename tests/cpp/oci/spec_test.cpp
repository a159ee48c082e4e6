// SPDX-License-Identifier: Apache-2.0
#include "oci/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/json.h"
#include "oci/scratch.h"

namespace ctrd::oci {
namespace {

const std::string kCgroup = cgroups_path("123456", "ns", "box");

SpecOptions plain() {
  SpecOptions options;
  options.args = {"/bin/true", "x"};
  return options;
}
std::string make(const SpecOptions& options) { return make_spec(options, "box", kCgroup, -1); }
Json config_of(const SpecOptions& options, bool v2 = false) {
  return Json::parse(make_config(make(options), v2));
}
Error refused(const SpecOptions& options) {
  return error_of([&] { make(options); });
}

TEST(Spec, stored_without_the_profile_and_small) {
  std::string text = make(plain());
  EXPECT_FALSE(Json::parse(text)["linux"].contains("seccomp"));
  EXPECT_LT(text.size(), 4096u);
  EXPECT_EQ(kCgroup, "/ctrd-123456-ns-box");
}

TEST(Spec, facts) {
  SpecFacts facts = spec_facts(make(plain()));
  EXPECT_THAT(facts.args, testing::ElementsAre("/bin/true", "x"));
  EXPECT_EQ(facts.cgroups_path, kCgroup);
  EXPECT_EQ(facts.hostname, "box");
  EXPECT_FALSE(facts.terminal);
}

TEST(Spec, merge_patch) {
  SpecOptions options = plain();
  options.spec_patch =
      R"({"process":{"cwd":"/tmp"},"linux":{"sysctl":{"net.core.somaxconn":"9"}},"hostname":null})";
  Json spec = Json::parse(make(options));
  EXPECT_EQ(spec["process"]["cwd"], "/tmp");
  EXPECT_EQ(spec["process"]["args"][0], "/bin/true");
  EXPECT_FALSE(spec.contains("hostname"));
  for (const char* bad : {"[]", "null", "{", R"({"a":1,"a":2})"}) {
    options.spec_patch = bad;
    EXPECT_EQ(refused(options).find("field"), "spec") << bad;
  }
}

TEST(Spec, edit_function) {
  SpecOptions options = plain();
  options.edit_spec = [](std::string text) {
    Json spec = Json::parse(text);
    spec["hostname"] = "edited";
    return spec.dump();
  };
  EXPECT_EQ(spec_facts(make(options)).hostname, "edited");
  options.edit_spec = [](std::string) { return std::string("null"); };
  EXPECT_EQ(refused(options).code(), Code::kInvalidArgument);
  options.edit_spec = [](std::string) { return "{\"a\":\"" + std::string(kMaxSpec, 'x') + "\"}"; };
  EXPECT_EQ(refused(options).code(), Code::kResourceExhausted);
}

TEST(Spec, result_of_a_patch_is_checked) {
  SpecOptions options = plain();
  options.spec_patch = R"({"process":{"args":[]}})";
  EXPECT_EQ(refused(options).find("field"), "spec.process.args");
  options.spec_patch = R"({"linux":{"cgroupsPath":"/ctrd-123456-ns-other"}})";
  EXPECT_EQ(refused(options).find("field"), "spec.linux.cgroupsPath");
}

TEST(Spec, profile_that_comes_by_patch_is_kept) {
  SpecOptions options = plain();
  options.spec_patch = R"({"linux":{"seccomp":{"defaultAction":"SCMP_ACT_LOG"}}})";
  Json spec = Json::parse(make(options));
  EXPECT_EQ(spec["annotations"]["ctrd.seccomp"], "custom");
  EXPECT_EQ(config_of(options)["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_LOG");
}

TEST(Config, has_the_profile_written_out) {
  SpecOptions options = plain();
  EXPECT_EQ(config_of(options)["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
  options.spec_patch = R"({"annotations":null})";
  EXPECT_TRUE(config_of(options)["linux"].contains("seccomp"));
  options.spec_patch = "";
  options.seccomp = "unconfined";
  EXPECT_FALSE(config_of(options)["linux"].contains("seccomp"));
}

TEST(Config, follows_the_machine) {
  SpecOptions options = plain();
  EXPECT_EQ(config_of(options, false)["linux"]["namespaces"].size(), 5u);
  EXPECT_EQ(config_of(options, true)["linux"]["namespaces"].back()["type"], "cgroup");
  options.rlimits["NOFILE"] = {~0ull, ~0ull};
  EXPECT_LE(config_of(options)["process"]["rlimits"][0]["hard"].get<uint64_t>(), 1ull << 40);
}

TEST(Spec, annotations) {
  SpecOptions options = plain();
  options.annotations = {{"a", "1"}, {"b", "2"}};
  std::string text = make(options);
  EXPECT_THAT(annotations_of(text),
              testing::ElementsAre(testing::Pair("a", "1"), testing::Pair("b", "2")));
  text = annotate(text, {{"a", std::nullopt}, {"c", "3"}, {"none", std::nullopt}});
  EXPECT_THAT(annotations_of(text),
              testing::ElementsAre(testing::Pair("b", "2"), testing::Pair("c", "3")));
  EXPECT_EQ(Json::parse(text)["annotations"]["ctrd.seccomp"], "default");
  Error error = error_of([&] { annotate(text, {{"ctrd.seccomp", "unconfined"}}); });
  EXPECT_EQ(error.find("field"), "annotations");
}

TEST(Spec, broken_store) {
  EXPECT_EQ(error_of([] { spec_facts("{"); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([] { make_config("[]", false); }).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace ctrd::oci
