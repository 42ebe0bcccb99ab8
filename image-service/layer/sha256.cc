#include "image-service/layer/sha256.h"

#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace slipway::image {

// OpenSSL fails here only without memory or without its default provider.
Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) abort();
}

void Sha256::Update(absl::string_view bytes) {
  if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) abort();
}

std::array<uint8_t, 32> Sha256::Finish() {
  std::array<uint8_t, 32> sum;
  if (EVP_DigestFinal_ex(context_.get(), sum.data(), nullptr) != 1) abort();
  return sum;
}

std::string Sha256::FinishDigest() {
  const std::array<uint8_t, 32> sum = Finish();
  return absl::StrCat("sha256:", absl::BytesToHexString(absl::string_view(
                                     reinterpret_cast<const char*>(sum.data()), sum.size())));
}

}  // namespace slipway::image
