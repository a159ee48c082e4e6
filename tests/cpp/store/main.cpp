// SPDX-License-Identifier: Apache-2.0
// The tests, or one of their helper processes.
#include <gtest/gtest.h>

#include <string_view>

#include "store/support.h"

int main(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == "--helper")
    return ctrd::store::run_helper({argv + 2, argv + argc});
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
