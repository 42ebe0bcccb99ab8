#ifndef SERVICES_BUILD_FILES_SHA256_H_
#define SERVICES_BUILD_FILES_SHA256_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct evp_md_ctx_st;

namespace slipway::build {

// A running SHA-256. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Append(absl::string_view bytes);
  // With its length before it, so that what follows cannot be taken for part of it.
  void AppendField(absl::string_view bytes);
  void AppendNumber(uint64_t number);
  // In hex; begins anew.
  std::string Finish();

 private:
  evp_md_ctx_st* const context_;
};

// In hex.
std::string Sha256Of(absl::string_view bytes);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_FILES_SHA256_H_
