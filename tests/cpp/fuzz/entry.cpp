// SPDX-License-Identifier: Apache-2.0
// libFuzzer's entry points. CTRD_SEEDS: a directory that gets the seeds before the fuzzer reads it.
#include <cstdint>
#include <fstream>

#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* dir = std::getenv("CTRD_SEEDS");
  if (dir == nullptr) return 0;
  int n = 0;
  for (const std::string& seed : ctrd::fuzz::seeds())
    std::ofstream(std::string(dir) + "/seed" + std::to_string(n++)) << seed;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  ctrd::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
