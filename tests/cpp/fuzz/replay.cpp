// SPDX-License-Identifier: Apache-2.0
// Runs a target without a fuzzer: its seeds, each cut at every length, then the files of the
// directories in argv, which are inputs that once crashed.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/fuzz.h"

namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void run_cut(const std::string& seed) {
  std::size_t step = seed.size() / 256 + 1;
  for (std::size_t length = 0; length < seed.size(); length += step)
    ctrd::fuzz::run(std::string_view(seed).substr(0, length));
  ctrd::fuzz::run(seed);
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 0;
  for (const std::string& seed : ctrd::fuzz::seeds()) {
    run_cut(seed);
    ++count;
  }
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      ctrd::fuzz::run(content(entry.path()));
      ++count;
    }
  }
  std::cout << count << " inputs" << std::endl;
  return count == 0;
}
