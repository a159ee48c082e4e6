// SPDX-License-Identifier: Apache-2.0
// Filter expressions, matched against a record whose label is the expression itself.
#include "fuzz/fuzz.h"
#include "metadata/adaptors.h"
#include "metadata/filter.h"

namespace ctrd::fuzz {
namespace {

using namespace metadata;

// "or" holds no more than its parts; what is parsed twice is the same.
void check(const std::string& text) {
  Container record;
  record.id = "web";
  record.labels = {{"self", text}, {"a.b/c", "v"}};
  auto field = [&](const FieldPath& path) { return find_field(record, path); };
  bool matches = Filter({text}).matches(field);
  require(Filter({text}).matches(field) == matches, "a filter changed its mind");
  require(Filter({text, "id==db"}).matches(field) == matches, "or with what is not so");
  require(Filter({text, "id==web"}).matches(field), "or with what is so");
  if (!text.empty())
    require(Filter({text + ",id==web"}).matches(field) == matches, "and with what is so");
}

}  // namespace

std::vector<std::string> seeds() {
  return {"id==web",
          "id~=/w.*b/,labels.\"a.b/c\"!=v",
          "labels.self~=|\\x41\\|[[:alpha:]]{1,3}|",
          "topic==/tasks/exit",
          "topic~=/tasks/.*",
          "labels.self==\"\\u00fc\\U0001F600\\101\\\"\"",
          " id == web, labels. self != \"x\"",
          "image~=(?i)^nginx:(1|2)\\.\\d+$"};
}

void run(std::string_view input) {
  accepts([&] { check(std::string(input)); });
}

}  // namespace ctrd::fuzz
