#include "services/build/files/sha256.h"

#include <openssl/evp.h>

#include <cstdlib>

#include "absl/strings/escaping.h"

namespace slipway::build {

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr || EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) != 1) std::abort();
}

Sha256::~Sha256() { EVP_MD_CTX_free(context_); }

void Sha256::Append(absl::string_view bytes) {
  if (EVP_DigestUpdate(context_, bytes.data(), bytes.size()) != 1) std::abort();
}

void Sha256::AppendField(absl::string_view bytes) {
  AppendNumber(bytes.size());
  Append(bytes);
}

void Sha256::AppendNumber(uint64_t number) {
  Append(absl::string_view(reinterpret_cast<const char*>(&number), sizeof(number)));
}

std::string Sha256::Finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context_, digest, &size) != 1 ||
      EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) != 1) {
    std::abort();
  }
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<char*>(digest), size));
}

std::string Sha256Of(absl::string_view bytes) {
  Sha256 sha;
  sha.Append(bytes);
  return sha.Finish();
}

}  // namespace slipway::build
