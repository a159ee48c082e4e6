// SPDX-License-Identifier: Apache-2.0
// The files of a bundle as somebody finds them, whole or not.
#include "api/bundle.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>

#include "api/scratch.h"

namespace ctrd::api {
namespace {

StatusFile running() {
  StatusFile file;
  file.instance = "0123456789abcdef";
  file.status = Status::kRunning;
  file.pid = 4242;
  file.pid_start = 99;
  file.boot_id = "a-b-c";
  file.log_dir = "/var/lib/ctrd/logs/\xff";  // a path need not be UTF-8
  return file;
}

template <typename F>
Code code_of(F f) {
  try {
    f();
    return Code::kOk;
  } catch (const Error& e) {
    return e.code();
  }
}

TEST(Bundle, FilesAreFoundAsTheyWereWritten) {
  Scratch scratch;
  UniqueFd dir = scratch.dir();
  EXPECT_FALSE(find_status_file(dir.get()));
  EXPECT_FALSE(find_exit_file(dir.get()));
  replace_file_at(dir.get(), kStatusFile, encode_file(running()), 0600, false);
  ExitFile exit;
  exit.status = 137;
  exit.signal = 9;
  exit.lost = Lost::kShim;
  replace_file_at(dir.get(), kExitFile, encode_file(exit), 0600, false);
  auto status = find_status_file(dir.get()).value();
  EXPECT_EQ(status.pid, 4242u);
  EXPECT_EQ(status.status, Status::kRunning);
  EXPECT_EQ(status.log_dir, running().log_dir);
  EXPECT_EQ(find_exit_file(dir.get())->status, 137u);
  EXPECT_EQ(find_exit_file(dir.get())->lost, Lost::kShim);
}

TEST(Bundle, AVersionByteStandsInFront) {
  EXPECT_EQ(encode_file(running())[0], 1);
  EXPECT_EQ(encode_file(ExitFile()), "\x01");
}

TEST(Bundle, DamagedFilesAreDataLoss) {
  for (const std::string& bytes :
       {std::string(), std::string(1, '\0'), std::string("\x02"), std::string("\x01\x0a\x7f"),
        std::string("\x01\xff"), std::string("{\"status\": 1}")}) {
    Scratch scratch;
    UniqueFd dir = scratch.dir();
    create_file_at(dir.get(), kStatusFile, bytes, 0600);
    create_file_at(dir.get(), kExitFile, bytes, 0600);
    EXPECT_EQ(code_of([&] { find_status_file(dir.get()); }), Code::kDataLoss) << escaped(bytes);
    EXPECT_EQ(code_of([&] { find_exit_file(dir.get()); }), Code::kDataLoss) << escaped(bytes);
  }
}

TEST(Bundle, WhatIsNoFileOrTooLargeIsAnError) {
  Scratch scratch;
  UniqueFd dir = scratch.dir();
  ASSERT_EQ(::mkfifo((scratch.path + "/status").c_str(), 0600), 0);
  EXPECT_NE(code_of([&] { find_status_file(dir.get()); }), Code::kOk);
  create_file_at(dir.get(), kExitFile, std::string(1 << 20, '\x01'), 0600);
  EXPECT_NE(code_of([&] { find_exit_file(dir.get()); }), Code::kOk);
}

TEST(Bundle, FuzzedFilesNeverCrash) {
  std::mt19937 random(3);
  std::string good = encode_file(running());
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes = good;
    for (auto n = random() % 4 + 1; n > 0; --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes.resize(random() % (bytes.size() + 1));
    for (Code code :
         {code_of([&] { decode_status_file(bytes); }), code_of([&] { decode_exit_file(bytes); })})
      ASSERT_TRUE(code == Code::kOk || code == Code::kDataLoss);
  }
}

}  // namespace
}  // namespace ctrd::api
