// SPDX-License-Identifier: Apache-2.0
// Specs: a user's patch or file. What is accepted can be made a config of, for both cgroup
// versions.
#include "fuzz/fuzz.h"
#include "oci/spec.h"

namespace ctrd::fuzz {

std::vector<std::string> seeds() {
  oci::SpecOptions options;
  options.args = {"true"};
  std::string spec = oci::make_spec(options, "web", "/ctrd-abcdef-default-web", -1);
  options.network = "host";
  options.hostname = "h";
  return {spec,
          oci::make_spec(options, "web", "/ctrd-abcdef-default-web", -1),
          R"({"ociVersion":"1.0.2","process":{"args":["x"],"cwd":"/"}})",
          "[[[[[[",
          "{\"a\":1,\"a\":2}",
          "null"};
}

void run(std::string_view input) {
  if (!accepts([&] { oci::check_spec(input); })) return;
  for (bool v2 : {false, true}) accepts([&] { oci::spec_facts(oci::make_config(input, v2)); });
  accepts([&] {
    std::string annotated = oci::annotate(input, {{"a", "b"}, {"c", std::nullopt}});
    require(oci::annotations_of(annotated).at("a") == "b", "an annotation is lost");
    oci::spec_facts(input);
  });
}

}  // namespace ctrd::fuzz
