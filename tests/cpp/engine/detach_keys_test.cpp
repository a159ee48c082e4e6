// SPDX-License-Identifier: Apache-2.0
#include "engine/detach_keys.h"

#include <gtest/gtest.h>

namespace ctrd::engine {
namespace {

struct Typed {
  bool detached;
  std::string through;
  bool operator==(const Typed&) const = default;
};

// Typed at once, and key by key: that must make no difference.
Typed type(const std::string& keys, const std::string& typed) {
  DetachKeys whole(keys), single(keys);
  Typed first{false, ""}, second{false, ""};
  first.detached = whole.pass(typed, &first.through);
  if (!first.detached) whole.finish(&first.through);
  for (char key : typed) {
    second.detached = single.pass({&key, 1}, &second.through);
    if (second.detached) break;
  }
  if (!second.detached) single.finish(&second.through);
  EXPECT_EQ(first, second) << typed;
  return first;
}

TEST(DetachKeys, WithoutKeysEverythingGoesThrough) {
  EXPECT_EQ(type("", std::string("a\x10\x11\0b", 5)),
            (Typed{false, std::string("a\x10\x11\0b", 5)}));
}

TEST(DetachKeys, TheKeysEndItAndDoNotGoThrough) {
  EXPECT_EQ(type("\x10\x11", "ls\n\x10\x11 and more"), (Typed{true, "ls\n"}));
  EXPECT_EQ(type("q", "aq"), (Typed{true, "a"}));
}

TEST(DetachKeys, HalfOfThemGoesThrough) {
  EXPECT_EQ(type("\x10\x11", "\x10x\x11\x10"), (Typed{false, "\x10x\x11\x10"}));
  EXPECT_EQ(type("\x10\x11", "\x10\x10\x11"), (Typed{true, "\x10"}));
}

TEST(DetachKeys, KeysThatBeginAsTheyGoOn) {
  EXPECT_EQ(type("aab", "aaab"), (Typed{true, "a"}));
  EXPECT_EQ(type("abab!", "ababab!"), (Typed{true, "ab"}));
  EXPECT_EQ(type("aaa", "aabaa"), (Typed{false, "aabaa"}));
  EXPECT_EQ(type("abcabd", "abcabcabd"), (Typed{true, "abc"}));
}

}  // namespace
}  // namespace ctrd::engine
