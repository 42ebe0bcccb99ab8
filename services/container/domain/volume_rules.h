#ifndef SERVICES_CONTAINER_DOMAIN_VOLUME_RULES_H_
#define SERVICES_CONTAINER_DOMAIN_VOLUME_RULES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/container/model/volume.h"

// What volumes may be called and be made of, and Docker's words for what they may not. Pure
// functions, thread-safe; every error is InvalidArgument.
namespace slipway::container {

// The smallest file system that a quota can make.
inline constexpr int64_t kMinimumVolumeBytes = 4 << 20;

absl::Status CheckVolumeName(absl::string_view name);

// The options of the driver "local": type, device and o go together, size is a limit of the
// volume's files.
absl::StatusOr<VolumeSource> ParseVolumeOptions(const StringMap& options);

// "100", "64k", "1.5g", "10MiB": powers of 1024, as Docker reads sizes.
absl::StatusOr<int64_t> ParseRamBytes(absl::string_view text);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_VOLUME_RULES_H_
