#ifndef GATEWAY_DOCKER_API_VERSION_H_
#define GATEWAY_DOCKER_API_VERSION_H_

#include <compare>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipway::gateway {

// A version of the Docker Engine API.
struct ApiVersion {
  int major = 0;
  int minor = 0;
  auto operator<=>(const ApiVersion&) const = default;
};

inline constexpr ApiVersion kMinApiVersion = {1, 24};
inline constexpr ApiVersion kMaxApiVersion = {1, 51};
inline constexpr absl::string_view kMinApiVersionText = "1.24";
inline constexpr absl::string_view kMaxApiVersionText = "1.51";

// Takes "/v1.41" off the front of `path`. The newest version where there is none; nothing where
// what looks like one cannot be parsed.
std::optional<ApiVersion> TakeVersion(absl::string_view& path);

// InvalidArgument in dockerd's words for a version that is not spoken.
absl::Status CheckVersion(ApiVersion version);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_API_VERSION_H_
