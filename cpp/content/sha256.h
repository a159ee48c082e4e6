// SPDX-License-Identifier: Apache-2.0
// SHA-256 of bytes as they come. The only header of this room behind which libcrypto is.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace ctrd::content {

class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  std::string hex() const;  // of what has come so far; more may come

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string digest_of(std::string_view bytes);  // "sha256:..."

}  // namespace ctrd::content
