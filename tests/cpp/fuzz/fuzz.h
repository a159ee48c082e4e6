// SPDX-License-Identifier: Apache-2.0
// What all fuzz targets share. A target is a file <name>_fuzz.cpp with seeds() and run(); `make
// fuzz` links it with libFuzzer, the ordinary build with replay.cpp, which runs the seeds and
// corpus/<name>/ as regression tests.
#pragma once

#include <cstdlib>
#include <functional>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace ctrd::fuzz {

// Good inputs, from which the fuzzer begins.
std::vector<std::string> seeds();
// One input; whatever is wrong with it must be said by an Error of a class that a user can act on.
void run(std::string_view input);

inline void require(bool condition, const char* what) {
  if (condition) return;
  std::cerr << "fuzz: " << what << std::endl;
  std::abort();
}

// True: f worked. False: it threw an Error that blames the input.
inline bool accepts(const std::function<void()>& f) {
  try {
    f();
    return true;
  } catch (const Error& error) {
    bool blames_input = error.code() != Code::kInternal && error.code() != Code::kUnknown;
    require(blames_input, error.what());
    require(error.message().size() <= 1024, "a message beyond 1 KiB");
    return false;
  }
}

// The first byte says which of the cases gets the rest.
using Case = void (*)(std::string_view);
inline void run_case(std::span<const Case> cases, std::string_view input) {
  if (input.empty()) return;
  std::size_t which = static_cast<unsigned char>(input[0]) % cases.size();
  accepts([&] { cases[which](input.substr(1)); });
}

}  // namespace ctrd::fuzz
