// SPDX-License-Identifier: Apache-2.0
#include "engine/other_answer.h"

#include <gtest/gtest.h>

#include "api/bootstrap.h"

namespace ctrd::engine {
namespace {

Code refusal_of(const std::string& printed) {
  try {
    socket_of("containerd-shim-x-v9", parse_shim_answer(printed).value());
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("containerd-shim-x-v9"), std::string::npos);
    return error.code();
  }
  return Code::kOk;
}

TEST(ShimAnswer, EachForm) {
  api::BootstrapResult result{.version = 2, .address = "unix:///s", .protocol = "ttrpc"};
  for (const std::string& printed :
       {std::string("unix:///s"), std::string(" unix:///s\n"),
        std::string(R"({"version":2,"address":"unix:///s","protocol":"ttrpc"})"),
        std::string("{\"version\": 3, \"address\": \"unix:///s\", \"protocol\": \"TTRPC\"}\n"),
        std::string(R"({"version":2,"address":"unix:///s"})"), api::encode(result)}) {
    auto answer = parse_shim_answer(printed);
    ASSERT_TRUE(answer) << printed;
    EXPECT_EQ(socket_of("x", *answer), "/s") << printed;
  }
}

TEST(ShimAnswer, WhatIsNone) {
  for (const char* printed :
       {"", "\n", "rubbish", "unix:///a b", "{", "[]", "{}",
        R"({"version":1,"address":"unix:///s"})", R"({"version":2})",
        R"({"version":"2","address":"unix:///s"})", R"({"version":2,"address":7})",
        R"({"version":2,"address":"here"})", "\x08\x02", "\xff\xff"})
    EXPECT_FALSE(parse_shim_answer(printed)) << printed;
}

TEST(ShimAnswer, WhatCannotBeDriven) {
  for (const char* printed : {"/abstract/of/old@name", "vsock://3:1024",
                              R"({"version":3,"address":"unix:///s","protocol":"grpc"})",
                              R"({"version":4,"address":"unix:///s","protocol":"ttrpc"})"})
    EXPECT_EQ(refusal_of(printed), Code::kUnimplemented) << printed;
  EXPECT_EQ(refusal_of("/dev/null"), Code::kOk);  // it is there: whoever connects will see
}

}  // namespace
}  // namespace ctrd::engine
