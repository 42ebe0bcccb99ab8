#ifndef SERVICES_LOG_STORE_DESCRIPTION_FILE_H_
#define SERVICES_LOG_STORE_DESCRIPTION_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/log/ports/description.h"
#include "services/log/ports/log_store.h"

namespace slipway::log {

// `<log's directory>/description` is a slipway.storage.v1.StoredLogDescription, `…/outlet` a
// StoredOutletPosition. Errors name the file; NotFound when there is none. What is saved survives
// the service, and is told or found out again after a power cut. Thread-safe.
absl::StatusOr<LogDescription> LoadDescription(const std::string& directory);
absl::Status SaveDescription(const std::string& directory, const LogDescription& description);
absl::StatusOr<OutletPosition> LoadOutletPosition(const std::string& directory);
absl::Status SaveOutletPosition(const std::string& directory, const OutletPosition& position);

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_DESCRIPTION_FILE_H_
