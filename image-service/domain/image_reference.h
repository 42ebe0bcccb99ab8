#ifndef IMAGE_SERVICE_DOMAIN_IMAGE_REFERENCE_H_
#define IMAGE_SERVICE_DOMAIN_IMAGE_REFERENCE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/domain/digest.h"

namespace slipway::image {

// A normalised image name: where it is ("docker.io"), its path ("library/redis") and, each
// optional, a tag and a digest. The grammar and the familiar forms are those of Docker's
// distribution/reference (docs: "reference" package, 2.8): a first component with neither dot,
// colon nor the name localhost is part of the path of docker.io. A value.
class ImageReference {
 public:
  ImageReference() = default;

  // InvalidArgument begins with "invalid reference format", as Docker's does.
  static absl::StatusOr<ImageReference> Parse(absl::string_view text);

  const std::string& domain() const { return domain_; }
  const std::string& path() const { return path_; }
  const std::string& tag() const { return tag_; }
  const Digest& digest() const { return digest_; }

  // "docker.io/library/redis".
  std::string Name() const { return domain_ + "/" + path_; }
  // "redis".
  std::string FamiliarName() const;
  // "redis:7", "redis@sha256:…", "redis:7@sha256:…", or only the name.
  std::string FamiliarString() const;
  // The same in full: "docker.io/library/redis:7".
  std::string FullString() const;

  // This name with tag "latest" where it has neither tag nor digest.
  ImageReference WithDefaultTag() const;
  // Only name and tag; only name and digest.
  ImageReference WithTag(absl::string_view tag) const;
  ImageReference WithDigest(const Digest& digest) const;

  friend bool operator==(const ImageReference&, const ImageReference&) = default;

 private:
  std::string domain_;
  std::string path_;
  std::string tag_;
  Digest digest_;
};

// Whether `pattern` (shell glob in which * and ? stop at a slash) matches the familiar name with or
// without tag, as Docker's filter "reference" does.
bool FamiliarMatch(absl::string_view pattern, const ImageReference& reference);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_IMAGE_REFERENCE_H_
