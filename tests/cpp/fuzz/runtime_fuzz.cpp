// SPDX-License-Identifier: Apache-2.0
// What a runtime prints, and the tables of the kernel. The first byte is the verb, the second its
// exit status.
#include "base/mountinfo.h"
#include "fuzz/fuzz.h"
#include "oci/runtime_errors.h"
#include "oci/verbs.h"

namespace ctrd::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  const char* words[] = {
      R"({"level":"error","msg":"exec: \"nosuch\": executable file not found in $PATH","time":"2026-11-26T00:00:00Z"})",
      R"({"msg":"executable file `nosuch` not found in $PATH: No such file or directory","level":"error","time":"x"})",
      R"({"level":"error","msg":"container does not exist"})",
      "time=\"x\" level=error msg=\"container not running\"\n",
      "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n",
  };
  for (int verb = 0; verb <= static_cast<int>(oci::Verb::kVersion); ++verb)
    for (const char* word : words) all.push_back(std::string{static_cast<char>(verb), '\1'} + word);
  return all;
}

void run(std::string_view input) {
  if (input.size() < 2) return;
  std::string text(input.substr(2));
  int verbs = static_cast<int>(oci::Verb::kVersion) + 1;
  oci::Command command{static_cast<oci::Verb>(static_cast<unsigned char>(input[0]) % verbs),
                       {"/usr/bin/crun", "x"},
                       "",
                       {}};
  for (bool as_log : {true, false}) {
    oci::Outcome outcome;
    outcome.status = static_cast<unsigned char>(input[1]);
    (as_log ? outcome.log : outcome.err) = text;
    Error error = oci::runtime_error(command, outcome);
    require(error.message().size() <= 1024, "a message beyond 1 KiB");
    for (char c : error.message())
      require(static_cast<unsigned char>(c) >= 32, "a control character in a message");
    oci::says_gone(error);
  }
  oci::last_log_message(text);
  accepts([&] { parse_mountinfo(text); });
}

}  // namespace ctrd::fuzz
