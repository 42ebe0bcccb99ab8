#include "gateway/docker/api_version.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace slipway::gateway {

std::optional<ApiVersion> TakeVersion(absl::string_view& path) {
  if (path.size() < 3 || path[0] != '/' || path[1] != 'v' || !absl::ascii_isdigit(path[2])) {
    return kMaxApiVersion;
  }
  const size_t end = path.find('/', 1);
  if (end == absl::string_view::npos) return std::nullopt;
  const absl::string_view text = path.substr(2, end - 2);
  const size_t dot = text.find('.');
  ApiVersion version;
  if (dot == absl::string_view::npos || text.size() > 9 ||
      !absl::SimpleAtoi(text.substr(0, dot), &version.major) ||
      !absl::SimpleAtoi(text.substr(dot + 1), &version.minor) || version.minor < 0) {
    return std::nullopt;
  }
  path.remove_prefix(end);
  return version;
}

absl::Status CheckVersion(ApiVersion version) {
  const std::string text = absl::StrCat(version.major, ".", version.minor);
  if (version < kMinApiVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat("client version ", text, " is too old. Minimum supported API version is ",
                     kMinApiVersionText, ", please upgrade your client to a newer version"));
  }
  if (version > kMaxApiVersion) {
    return absl::InvalidArgumentError(absl::StrCat("client version ", text,
                                                   " is too new. Maximum supported API version is ",
                                                   kMaxApiVersionText));
  }
  return absl::OkStatus();
}

}  // namespace slipway::gateway
