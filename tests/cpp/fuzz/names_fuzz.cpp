// SPDX-License-Identifier: Apache-2.0
// Identifiers, digests, labels and users. Lines: an id, a user, then /etc/passwd up to an empty
// line, then /etc/group.
#include <regex>

#include "base/digest.h"
#include "base/identifier.h"
#include "fuzz/fuzz.h"
#include "metadata/record.h"
#include "oci/user.h"
#include "support/scratch_dir.h"

namespace ctrd::fuzz {
namespace {

std::string_view take(std::string_view* text, std::string_view end) {
  std::size_t at = std::min(text->find(end), text->size());
  std::string_view taken = text->substr(0, at);
  text->remove_prefix(std::min(text->size(), at + end.size()));
  return taken;
}

void check_id(std::string_view id) {
  static const std::regex kModel("[A-Za-z0-9]+([._-][A-Za-z0-9]+)*");
  bool wanted = !id.empty() && id.size() <= 76 && std::regex_match(id.begin(), id.end(), kModel);
  require(is_identifier(id) == wanted, "an identifier is judged otherwise than by its rule");
  require(accepts([&] { check_identifier("id", id); }) == wanted, "check_identifier differs");
}

void check_digest_of(std::string_view id) {
  static const std::regex kModel("sha256:[0-9a-f]{64}");
  bool wanted = std::regex_match(id.begin(), id.end(), kModel);
  require(is_digest(id) == wanted, "a digest is judged otherwise than by its rule");
  require(accepts([&] { check_digest("digest", id); }) == wanted, "check_digest differs");
}

void check_user(std::string_view user, std::string_view passwd, std::string_view group) {
  static const ScratchDir scratch("/dev/shm/ctrd-fuzz-");
  static const UniqueFd dir = scratch.dir();
  UniqueFd etc = make_dirs_at(dir.get(), "etc", 0700);
  replace_file_at(etc.get(), "passwd", passwd, 0600, false);
  replace_file_at(etc.get(), "group", group, 0600, false);
  accepts([&] {
    oci::User found = oci::resolve_user(user, dir.get());
    require(found.uid <= 0x7fffffff && found.gid <= 0x7fffffff, "an id beyond 31 bits");
    bool number = !user.empty() && user.find_first_not_of("0123456789") == user.npos;
    if (number)
      require(std::to_string(found.uid) ==
                  user.substr(std::min(user.find_first_not_of('0'), user.size() - 1)),
              "a number is another user");
  });
}

}  // namespace

std::vector<std::string> seeds() {
  std::string files =
      "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var:/bin/sh\n12:x:0:0::/"
      ":\n\nroot:x:0:\nweb:x:33:web,root\n";
  std::vector<std::string> all;
  for (const char* user : {"root", "web", "web:root", "33", "0:33", "12", "4294967296", "-1", "0x0",
                           "nosuch", "0:0:0", ""})
    all.push_back(std::string("a.b-c_1\n") + user + "\n" + files);
  all.push_back("sha256:" + std::string(64, 'a') + "\nroot\n" + files);
  return all;
}

void run(std::string_view input) {
  std::string_view id = take(&input, "\n"), user = take(&input, "\n");
  std::string_view passwd = take(&input, "\n\n");
  check_id(id);
  check_digest_of(id);
  accepts([&] { metadata::check_labels({{std::string(id), std::string(user)}}); });
  check_user(user, passwd, input);
}

}  // namespace ctrd::fuzz
