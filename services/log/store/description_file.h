#ifndef SERVICES_LOG_STORE_DESCRIPTION_FILE_H_
#define SERVICES_LOG_STORE_DESCRIPTION_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/log/ports/description.h"

namespace slipway::log {

// `<log's directory>/description`: a slipway.storage.v1.StoredLogDescription. Errors name the file;
// NotFound when there is none. Thread-safe.
absl::StatusOr<LogDescription> LoadDescription(const std::string& directory);
absl::Status SaveDescription(const std::string& directory, const LogDescription& description);

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_DESCRIPTION_FILE_H_
