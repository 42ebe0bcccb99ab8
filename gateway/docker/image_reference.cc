#include "gateway/docker/image_reference.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gateway/docker/json_fields.h"

namespace slipway::gateway {
namespace {

// Whether what the given tag replaces, a tag or a digest behind the name, is well-formed itself.
bool ReplaceableSuffix(absl::string_view reference) {
  const size_t at = reference.find('@');
  if (at != absl::string_view::npos) {
    absl::string_view digest = reference.substr(at + 1);
    return absl::ConsumePrefix(&digest, "sha256:") && digest.size() == 64 &&
           digest.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
  }
  const size_t slash = reference.rfind('/');
  const absl::string_view last =
      slash == absl::string_view::npos ? reference : reference.substr(slash + 1);
  return std::count(last.begin(), last.end(), ':') <= 1;
}

absl::Status Invalid(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is an invalid OS and architecture: wants os/arch[/variant]"));
}

std::string Normal(absl::string_view architecture) {
  if (architecture == "x86_64" || architecture == "x86-64") return "amd64";
  if (architecture == "aarch64") return "arm64";
  return std::string(architecture);
}

}  // namespace

bool HasTagOrDigest(absl::string_view reference) {
  if (absl::StrContains(reference, '@')) return true;
  const size_t slash = reference.rfind('/');
  return reference.find(':', slash == absl::string_view::npos ? 0 : slash) !=
         absl::string_view::npos;
}

absl::StatusOr<std::string> JoinReference(absl::string_view from_image, absl::string_view tag) {
  if (from_image.empty()) return absl::InvalidArgumentError("no image was named to pull");
  if (tag.empty()) return std::string(from_image);
  if (!ReplaceableSuffix(from_image)) return absl::InvalidArgumentError("invalid reference format");
  const bool is_digest = absl::StrContains(tag, ':');
  // A digest says more than a tag.
  if (absl::StrContains(from_image, '@')) return std::string(from_image);
  // A tag replaces the one in the name, as in dockerd. What has two is left to be refused.
  const size_t slash = from_image.rfind('/');
  const size_t colon = from_image.find(':', slash == absl::string_view::npos ? 0 : slash);
  const bool one_tag = colon != absl::string_view::npos && colon == from_image.rfind(':');
  const absl::string_view repository = one_tag ? from_image.substr(0, colon) : from_image;
  return absl::StrCat(repository, is_digest ? "@" : ":", tag);
}

absl::StatusOr<slipway::common::v1::Platform> ParsePlatform(absl::string_view text) {
  slipway::common::v1::Platform platform;
  if (absl::StartsWith(text, "{")) {
    boost::system::error_code error;
    const boost::json::value value =
        boost::json::parse(boost::json::string_view(text.data(), text.size()), error);
    if (error || !value.is_object()) return Invalid(text);
    JsonFields fields(value.get_object(), "platform");
    platform.set_os(fields.String("os"));
    platform.set_architecture(Normal(fields.String("architecture")));
    platform.set_variant(fields.String("variant"));
    if (!fields.status().ok()) return fields.status();
    return platform;
  }
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '/');
  if (parts.size() > 3) return Invalid(text);
  for (absl::string_view part : parts) {
    if (part.empty() || part.size() > 32) return Invalid(text);
  }
  if (parts.size() == 1) {
    platform.set_os("linux");
    if (parts[0] != "linux") platform.set_architecture(Normal(parts[0]));
    return platform;
  }
  platform.set_os(std::string(parts[0]));
  platform.set_architecture(Normal(parts[1]));
  if (parts.size() == 3) platform.set_variant(std::string(parts[2]));
  return platform;
}

}  // namespace slipway::gateway
