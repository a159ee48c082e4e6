// SPDX-License-Identifier: Apache-2.0
// gtest's main, and the other processes of the tests.
#include <string_view>

#include "engine/fixture.h"

int main(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == "--helper")
    return ctrd::engine::helper_main(argc, argv);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
