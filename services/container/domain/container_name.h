#ifndef SERVICES_CONTAINER_DOMAIN_CONTAINER_NAME_H_
#define SERVICES_CONTAINER_DOMAIN_CONTAINER_NAME_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Names and identifiers. Thread-safe.
namespace slipway::container {

// Without its leading slash. Docker: [a-zA-Z0-9][a-zA-Z0-9_.-]+, here at most 255 bytes.
absl::StatusOr<std::string> ParseContainerName(absl::string_view name);

// "adjective_noun", with a number after it for `attempt` > 0. Random: the caller tries the next
// attempt when the name is taken.
std::string MakeUpName(int attempt);

// 64 lower-case hex digits from the kernel's random source, not all decimal in the first 12 (such
// an id would look like a number to programs that take it as a host name).
std::string NewId();

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_CONTAINER_NAME_H_
