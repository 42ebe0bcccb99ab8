#ifndef IMAGE_SERVICE_LAYER_SHA256_H_
#define IMAGE_SERVICE_LAYER_SHA256_H_

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace slipway::image {

// An incremental SHA-256. Not thread-safe.
class Sha256 {
 public:
  Sha256();

  void Update(absl::string_view bytes);
  // Ends the computation; call once.
  std::array<uint8_t, 32> Finish();
  // The same in the form of the OCI image specification: "sha256:<64 hexadecimal digits>".
  std::string FinishDigest();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_SHA256_H_
