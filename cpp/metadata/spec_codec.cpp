// SPDX-License-Identifier: Apache-2.0
// Specs on disk: a codec byte, then JSON as it is or compressed.
#include <zstd.h>

#include "base/error.h"
#include "metadata/fields.h"
#include "metadata/record.h"

namespace ctrd::metadata {
namespace {

constexpr char kPlain = 0;
constexpr char kZstd = 1;
constexpr int kLevel = 3;
constexpr std::size_t kMaxSpec = 4u << 20;

std::string compress(std::string_view json) {
  std::string out(ZSTD_compressBound(json.size()), '\0');
  std::size_t size = ZSTD_compress(out.data(), out.size(), json.data(), json.size(), kLevel);
  if (ZSTD_isError(size)) return std::string(json);  // only ever for want of memory
  out.resize(size);
  return out;
}

std::string decompress(std::string_view bytes) {
  unsigned long long size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (size > kMaxSpec) throw damaged("spec", "no size, or one above 4 MiB");
  std::string out(size, '\0');
  std::size_t got = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(got)) throw damaged("spec", ZSTD_getErrorName(got));
  if (got != size) throw damaged("spec", "shorter than it says");
  return out;
}

}  // namespace

std::string pack_spec(std::string_view json) {
  if (json.size() > kMaxSpec)
    throw Error(Code::kResourceExhausted,
                "spec: must be at most 4 MiB: has " + std::to_string(json.size()) + " bytes");
  std::string packed = compress(json);
  if (packed.size() >= json.size()) return std::string(1, kPlain).append(json);
  return packed.insert(0, 1, kZstd);
}

std::string unpack_spec(std::string_view bytes) {
  if (bytes.empty()) throw damaged("spec", "empty");
  std::string_view body = bytes.substr(1);
  if (bytes[0] == kZstd) return decompress(body);
  if (bytes[0] != kPlain) throw damaged("spec", "unknown codec");
  if (body.size() > kMaxSpec) throw damaged("spec", "more than 4 MiB");
  return std::string(body);
}

}  // namespace ctrd::metadata
