// SPDX-License-Identifier: Apache-2.0
// The tests, or one of their helper processes.
#include <gtest/gtest.h>

#include <string_view>

#include "content/helper.h"

int main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == "--helper")
    return ctrd::content::run_helper(argv[2], argv[3], argv[4]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
