#ifndef BASE_TEXT_UTF8_H_
#define BASE_TEXT_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace slipway {

// How many bytes the character at the beginning of `text`, which is not empty, has; zero when it is
// no valid UTF-8 (RFC 3629). Pure; thread-safe.
size_t Utf8CharacterBytes(absl::string_view text);

// The text with each byte that is not part of valid UTF-8 (RFC 3629) replaced by U+FFFD, as Go's
// JSON encoder does. Pure; thread-safe.
std::string ValidUtf8(absl::string_view text);

}  // namespace slipway

#endif  // BASE_TEXT_UTF8_H_
