#ifndef SERVICES_LOG_DOMAIN_FIND_BYTES_H_
#define SERVICES_LOG_DOMAIN_FIND_BYTES_H_

#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"

namespace slipway::log {

// Where `wanted`, which is not empty, lies first in `text` at or behind `from`. Several times
// faster than memmem(3), whose two-way search looks at one byte at a time. Pure; thread-safe.
std::optional<size_t> FindBytes(absl::string_view text, size_t from, absl::string_view wanted);

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_FIND_BYTES_H_
