#ifndef IMAGE_SERVICE_DOMAIN_DIGEST_H_
#define IMAGE_SERVICE_DOMAIN_DIGEST_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::image {

// A content address "sha256:<64 lower-case hex>" (OCI image-spec, descriptor.md, "Digests"). Other
// algorithms are refused: nothing here could verify them. A value; the default one is empty.
class Digest {
 public:
  Digest() = default;

  // InvalidArgument names the text.
  static absl::StatusOr<Digest> Parse(absl::string_view text);
  // The digest whose hexadecimal part is `hex`.
  static absl::StatusOr<Digest> FromHex(absl::string_view hex);
  static Digest OfBytes(absl::string_view bytes);

  bool empty() const { return text_.empty(); }
  const std::string& ToString() const { return text_; }
  // The part after "sha256:".
  std::string hex() const { return text_.empty() ? "" : text_.substr(7); }
  // The first 12 hex digits, as Docker shows ids.
  std::string ShortHex() const { return hex().substr(0, 12); }

  friend bool operator==(const Digest&, const Digest&) = default;
  friend auto operator<=>(const Digest&, const Digest&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const Digest& digest) {
    return H::combine(std::move(state), digest.text_);
  }

 private:
  explicit Digest(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_DIGEST_H_
