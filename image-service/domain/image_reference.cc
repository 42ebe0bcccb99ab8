#include "image-service/domain/image_reference.h"

#include <fnmatch.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr absl::string_view kDefaultDomain = "docker.io";
constexpr size_t kMaxNameLength = 255;
constexpr size_t kMaxTagLength = 128;

absl::Status Invalid(absl::string_view why = "") {
  return absl::InvalidArgumentError(why.empty() ? "invalid reference format"
                                                : absl::StrCat("invalid reference format: ", why));
}

bool IsAlnum(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }
bool IsLowerAlnum(char c) {
  return IsAlnum(c) && !absl::ascii_isupper(static_cast<unsigned char>(c));
}
bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }
bool IsHex(char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); }

// path-component := alpha-numeric [separator alpha-numeric]*, separator := [_.] | "__" | "-"+
bool IsPathComponent(absl::string_view text) {
  if (text.empty() || !IsLowerAlnum(text.front()) || !IsLowerAlnum(text.back())) return false;
  size_t at = 0;
  while (at < text.size()) {
    if (IsLowerAlnum(text[at])) {
      ++at;
      continue;
    }
    const size_t begin = at;
    while (at < text.size() && !IsLowerAlnum(text[at])) ++at;
    const absl::string_view separator = text.substr(begin, at - begin);
    const bool dashes =
        std::all_of(separator.begin(), separator.end(), [](char c) { return c == '-'; });
    if (!dashes && separator != "_" && separator != "__" && separator != ".") return false;
  }
  return true;
}

bool IsDomainComponent(absl::string_view text) {
  return !text.empty() && IsAlnum(text.front()) && IsAlnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return IsAlnum(c) || c == '-'; });
}

// domain := host [":" port], host := component ["." component]* | "[" IPv6 "]"
bool IsDomain(absl::string_view text) {
  absl::string_view host = text;
  if (absl::StartsWith(text, "[")) {
    const size_t end = text.find(']');
    if (end == absl::string_view::npos || end < 2) return false;
    const absl::string_view inside = text.substr(1, end - 1);
    if (!std::all_of(inside.begin(), inside.end(), [](char c) { return IsHex(c) || c == ':'; })) {
      return false;
    }
    const absl::string_view rest = text.substr(end + 1);
    return rest.empty() || (rest.size() > 1 && rest[0] == ':' &&
                            std::all_of(rest.begin() + 1, rest.end(), IsDigit));
  }
  const size_t colon = text.find(':');
  if (colon != absl::string_view::npos) {
    const absl::string_view port = text.substr(colon + 1);
    if (port.empty() || !std::all_of(port.begin(), port.end(), IsDigit)) return false;
    host = text.substr(0, colon);
  }
  const std::vector<absl::string_view> components = absl::StrSplit(host, '.');
  return std::all_of(components.begin(), components.end(), IsDomainComponent);
}

bool IsTag(absl::string_view text) {
  if (text.empty() || text.size() > kMaxTagLength) return false;
  if (!IsAlnum(text[0]) && text[0] != '_') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlnum(c) || c == '_' || c == '.' || c == '-'; });
}

// What Docker takes for an image id, and so for no name.
bool LooksLikeId(absl::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return IsHex(c) && !absl::ascii_isupper(static_cast<unsigned char>(c));
         });
}

// "docker.io" and "library/redis" of "redis".
std::pair<std::string, std::string> SplitDomain(absl::string_view name) {
  const size_t slash = name.find('/');
  std::string domain(kDefaultDomain);
  absl::string_view rest = name;
  if (slash != absl::string_view::npos) {
    const absl::string_view first = name.substr(0, slash);
    const bool has_upper = std::any_of(first.begin(), first.end(), absl::ascii_isupper);
    if (absl::StrContains(first, '.') || absl::StrContains(first, ':') || first == "localhost" ||
        has_upper) {
      domain = first == "index.docker.io" ? std::string(kDefaultDomain) : std::string(first);
      rest = name.substr(slash + 1);
    }
  }
  if (domain == kDefaultDomain && !absl::StrContains(rest, '/')) {
    return {domain, absl::StrCat("library/", rest)};
  }
  return {domain, std::string(rest)};
}

}  // namespace

absl::StatusOr<ImageReference> ImageReference::Parse(absl::string_view text) {
  if (text.empty() || text.size() > 1024) return Invalid();
  if (LooksLikeId(text)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "invalid repository name (", text, "), cannot specify 64-byte hexadecimal strings"));
  }
  ImageReference reference;
  absl::string_view name = text;
  const size_t at = text.find('@');
  if (at != absl::string_view::npos) {
    auto digest = Digest::Parse(text.substr(at + 1));
    if (!digest.ok()) return Invalid(digest.status().message());
    reference.digest_ = *std::move(digest);
    name = text.substr(0, at);
  }
  const size_t slash = name.rfind('/');
  const size_t colon = name.rfind(':');
  if (colon != absl::string_view::npos && (slash == absl::string_view::npos || colon > slash)) {
    reference.tag_ = std::string(name.substr(colon + 1));
    if (!IsTag(reference.tag_)) return Invalid();
    name = name.substr(0, colon);
  }
  std::tie(reference.domain_, reference.path_) = SplitDomain(name);
  if (std::any_of(reference.path_.begin(), reference.path_.end(), absl::ascii_isupper)) {
    return Invalid("repository name must be lowercase");
  }
  if (!IsDomain(reference.domain_)) return Invalid();
  const std::vector<absl::string_view> components = absl::StrSplit(reference.path_, '/');
  if (!std::all_of(components.begin(), components.end(), IsPathComponent)) return Invalid();
  if (reference.Name().size() > kMaxNameLength) {
    return Invalid("repository name must not be more than 255 characters");
  }
  return reference;
}

std::string ImageReference::FamiliarName() const {
  if (domain_ != kDefaultDomain) return Name();
  absl::string_view rest = path_;
  if (absl::ConsumePrefix(&rest, "library/") && !absl::StrContains(rest, '/') &&
      !LooksLikeId(rest)) {
    return std::string(rest);
  }
  // "docker.io/a.b/c": without its domain it would be another name.
  const auto [domain, path] = SplitDomain(path_);
  return domain == kDefaultDomain && path == path_ ? path_ : Name();
}

std::string ImageReference::FamiliarString() const {
  std::string text = FamiliarName();
  if (!tag_.empty()) absl::StrAppend(&text, ":", tag_);
  if (!digest_.empty()) absl::StrAppend(&text, "@", digest_.ToString());
  return text;
}

std::string ImageReference::FullString() const {
  std::string text = Name();
  if (!tag_.empty()) absl::StrAppend(&text, ":", tag_);
  if (!digest_.empty()) absl::StrAppend(&text, "@", digest_.ToString());
  return text;
}

ImageReference ImageReference::WithDefaultTag() const {
  return tag_.empty() && digest_.empty() ? WithTag("latest") : *this;
}

ImageReference ImageReference::WithTag(absl::string_view tag) const {
  ImageReference result = *this;
  result.tag_ = std::string(tag);
  result.digest_ = Digest();
  return result;
}

ImageReference ImageReference::WithDigest(const Digest& digest) const {
  ImageReference result = *this;
  result.tag_.clear();
  result.digest_ = digest;
  return result;
}

bool FamiliarMatch(absl::string_view pattern, const ImageReference& reference) {
  const std::string glob(pattern);
  return fnmatch(glob.c_str(), reference.FamiliarString().c_str(), FNM_PATHNAME) == 0 ||
         fnmatch(glob.c_str(), reference.FamiliarName().c_str(), FNM_PATHNAME) == 0;
}

}  // namespace slipway::image
