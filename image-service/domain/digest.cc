#include "image-service/domain/digest.h"

#include <openssl/sha.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace slipway::image {
namespace {

constexpr absl::string_view kPrefix = "sha256:";

bool IsLowerHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

absl::StatusOr<Digest> Digest::Parse(absl::string_view text) {
  absl::string_view hex = text;
  if (!absl::ConsumePrefix(&hex, kPrefix)) {
    return absl::InvalidArgumentError(
        absl::StrCat("unsupported digest \"", text.substr(0, 160), "\": only sha256 is supported"));
  }
  return FromHex(hex);
}

absl::StatusOr<Digest> Digest::FromHex(absl::string_view hex) {
  if (hex.size() != 64 || !IsLowerHex(hex)) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid sha256 digest \"", hex.substr(0, 160), "\""));
  }
  return Digest(absl::StrCat(kPrefix, hex));
}

Digest Digest::OfBytes(absl::string_view bytes) {
  unsigned char sum[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), sum);
  return Digest(absl::StrCat(kPrefix, absl::BytesToHexString(absl::string_view(
                                          reinterpret_cast<const char*>(sum), sizeof(sum)))));
}

}  // namespace slipway::image
