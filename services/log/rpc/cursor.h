#ifndef SERVICES_LOG_RPC_CURSOR_H_
#define SERVICES_LOG_RPC_CURSOR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/log/domain/reading.h"

namespace slipway::log {

// Places as clients keep them: two bytes "C1", then of each log the id (32 bytes) and of stdout and
// stderr the segment (8), the offset in it (8) and in the record (4), little-endian; then a
// checksum (4). Clients must not look into it. InvalidArgument for what was not made here. Pure;
// thread-safe.
std::string EncodeCursor(const std::vector<Place>& places);
absl::StatusOr<std::vector<Place>> DecodeCursor(absl::string_view bytes);

}  // namespace slipway::log

#endif  // SERVICES_LOG_RPC_CURSOR_H_
