#ifndef SERVICES_LOG_STORE_CRC32C_H_
#define SERVICES_LOG_STORE_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace slipway::log {

// CRC-32C (RFC 3720 section 12.1) of `data`, going on from `previous`. Thread-safe.
uint32_t Crc32c(absl::string_view data, uint32_t previous = 0);

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_CRC32C_H_
