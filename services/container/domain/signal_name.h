#ifndef SERVICES_CONTAINER_DOMAIN_SIGNAL_NAME_H_
#define SERVICES_CONTAINER_DOMAIN_SIGNAL_NAME_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::container {

// A signal as Docker takes it: a number from 1 to 64, or a name with or without "SIG", in any case,
// with RTMIN+n and RTMAX-n. Signal numbers are those of Linux on x86-64 and arm64 (signal(7)).
// InvalidArgument names the text. Thread-safe.
absl::StatusOr<int> ParseSignal(absl::string_view text);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_SIGNAL_NAME_H_
