// SPDX-License-Identifier: Apache-2.0
// All messages alike: numbers and types against protoc, and bytes that are no message. Which member
// holds which field: members_test.cpp
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <random>

#include "api/oracle.h"
#include "base/error.h"

namespace ctrd::api {
namespace {

namespace pb = google::protobuf;

std::unique_ptr<pb::Message> filled(const Codec& codec) {
  auto message = codec.make();
  fill(*message);
  return message;
}

std::unique_ptr<pb::Message> parsed(const Codec& codec, const std::string& bytes) {
  auto message = codec.make();
  return message->ParseFromString(bytes) ? std::move(message) : nullptr;
}

// Never a crash: what we read, in protoc's order; nullopt: an Error of the right code.
std::optional<std::string> through_us(const Codec& codec, std::string_view bytes) {
  std::string copy(bytes);  // so that a sanitizer sees a byte read beyond it
  try {
    auto message = parsed(codec, codec.read_and_write(copy));
    return message ? serialized(*message) : "what we wrote is not readable";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), codec.on_disk ? Code::kDataLoss : Code::kInvalidArgument);
    return std::nullopt;
  }
}

TEST(Codec, EveryFieldGoesBothWays) {
  for (const Codec& codec : codecs())
    EXPECT_EQ(through_us(codec, serialized(*filled(codec))), serialized(*filled(codec)))
        << codec.name;
}

TEST(Codec, NothingSetIsDefaults) {
  for (const Codec& codec : codecs()) {
    auto message = codec.make();
    add_always_written(*message);
    EXPECT_EQ(through_us(codec, ""), serialized(*message)) << codec.name;
  }
}

TEST(Codec, UnknownFieldsAreSkipped) {
  std::string unknown(
      "\xd8\x06\x05\xdd\x06\x01\x02\x03\x04\xd9\x06\x01\x02\x03\x04\x05\x06\x07\x08\xda\x06\x02hi",
      24);
  for (const Codec& codec : codecs()) {
    std::string bytes = serialized(*filled(codec));
    std::string between = unknown;
    between.append(bytes).append(unknown);
    EXPECT_EQ(through_us(codec, between), bytes) << codec.name;
  }
}

TEST(Codec, AMillionUnknownFieldsAreSkipped) {
  std::string unknown;
  for (int i = 0; i < 1'000'000; ++i) unknown += std::string("\xd8\x06\x05", 3);
  for (const Codec& codec : codecs()) {
    bool one_of_few = codec.name == std::string_view("CreateRequest") || codec.on_disk;
    EXPECT_TRUE(!one_of_few || through_us(codec, unknown)) << codec.name;
  }
}

TEST(Codec, TruncatedAnywhereIsAsProtocSays) {
  pb::LogSilencer quiet;
  for (const Codec& codec : codecs()) {
    std::string bytes = serialized(*filled(codec));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      bool ours = through_us(codec, bytes.substr(0, size)).has_value();
      EXPECT_EQ(ours, parsed(codec, bytes.substr(0, size)) != nullptr)
          << codec.name << " at " << size;
    }
  }
}

TEST(Codec, LengthsThatLieAreErrors) {
  for (const Codec& codec : codecs())
    for (std::string_view bytes :
         {"\x0a\xff\xff\xff\xff\x0f", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x52\x05x",
          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
          "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"})
      EXPECT_FALSE(through_us(codec, bytes)) << codec.name;
}

TEST(Codec, DeepGroupsAndNestedGarbageEnd) {
  for (const Codec& codec : codecs()) {
    through_us(codec, std::string(100'000, '\x0b'));
    std::string nested;
    for (int i = 0; i < 100; ++i)
      nested.insert(0, {'\x52', static_cast<char>(nested.size() & 0x7f)});
    through_us(codec, nested);
    for (int field = 1; field <= 12; ++field)
      through_us(codec, std::string{static_cast<char>(field << 3 | 2), 3} + "\xff\xff\xff");
  }
}

TEST(Codec, TextThatIsNotUtf8IsRefused) {
  std::string bytes("\x0a\x01\xff", 3);
  for (const Codec& codec : codecs()) {
    pb::LogSilencer quiet;
    EXPECT_EQ(through_us(codec, bytes).has_value(), parsed(codec, bytes) != nullptr) << codec.name;
  }
}

std::string fuzzed(std::string bytes, std::mt19937& random) {
  if (bytes.empty()) return bytes;
  for (auto n = random() % 4 + 1; n > 0; --n)
    bytes[random() % bytes.size()] = static_cast<char>(random());
  if (random() % 4 == 0) bytes.resize(random() % bytes.size());
  return bytes;
}

bool has_time(const Codec& codec) {
  auto message = codec.make();
  add_always_written(*message);
  return !message->ByteSizeLong() ? false : !codec.on_disk;
}

// An empty message and none are the same to us.
void drop_empty(pb::Message& message) {
  const pb::Reflection* reflection = message.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->message_type() == nullptr || field->is_map()) continue;
    for (int i = 0; field->is_repeated() && i < reflection->FieldSize(message, field); ++i)
      drop_empty(*reflection->MutableRepeatedMessage(&message, field, i));
    if (field->is_repeated()) continue;
    drop_empty(*reflection->MutableMessage(&message, field));
    if (reflection->GetMessage(message, field).ByteSizeLong() == 0)
      reflection->ClearField(&message, field);
  }
}

// We differ only over tags beyond 32 bits (cut) and groups (refused); times out of range saturate.
TEST(Codec, FuzzedBytesAreReadAsProtocReadsThem) {
  pb::LogSilencer quiet;
  std::mt19937 random(42);
  int differ = 0;
  for (const Codec& codec : codecs()) {
    std::string bytes = serialized(*filled(codec));
    for (int round = 0; round < 3'000; ++round) {
      std::string bad = fuzzed(bytes, random);
      auto ours = through_us(codec, bad);
      auto theirs = parsed(codec, bad);
      if (ours.has_value() != (theirs != nullptr)) ++differ;
      if (!ours || !theirs || has_time(codec)) continue;
      theirs->DiscardUnknownFields();
      drop_empty(*theirs);
      ASSERT_EQ(*ours, serialized(*theirs)) << codec.name << " " << escaped(bad);
    }
  }
  EXPECT_LT(differ, 500);
}

}  // namespace
}  // namespace ctrd::api
