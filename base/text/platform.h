#ifndef BASE_TEXT_PLATFORM_H_
#define BASE_TEXT_PLATFORM_H_

#include <string>

#include "absl/strings/string_view.h"

namespace slipway {

// An operating system and a processor as the OCI's image-spec names them.
struct PlatformName {
  absl::string_view os;
  absl::string_view architecture;
  absl::string_view variant;
};

// "linux/arm/v7"
std::string Format(const PlatformName& platform);

// Whether what is made for `actual` is what one who wants `wanted` gets. An empty part of either
// fits any; an older variant of arm fits a newer one.
bool Serves(const PlatformName& actual, const PlatformName& wanted);

}  // namespace slipway

#endif  // BASE_TEXT_PLATFORM_H_
