// SPDX-License-Identifier: Apache-2.0
#include "content/sha256.h"

#include <openssl/evp.h>

#include <array>

#include "base/error.h"

namespace ctrd::content {
namespace {

void check(int result) {
  if (result != 1) throw Error(Code::kInternal, "SHA-256: libcrypto failed");
}

evp_md_ctx_st* new_context() {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  if (!context) throw Error(Code::kResourceExhausted, "SHA-256: no memory");
  return context;
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(new_context()) {
  check(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
}

void Sha256::update(std::string_view bytes) {
  check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

std::string Sha256::hex() const {
  std::unique_ptr<evp_md_ctx_st, Free> copy(new_context());
  std::array<unsigned char, 32> digest;
  check(EVP_MD_CTX_copy_ex(copy.get(), context_.get()));
  check(EVP_DigestFinal_ex(copy.get(), digest.data(), nullptr));
  std::string text;
  for (unsigned char byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string digest_of(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return "sha256:" + hash.hex();
}

}  // namespace ctrd::content
