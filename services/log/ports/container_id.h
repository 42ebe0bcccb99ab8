#ifndef SERVICES_LOG_PORTS_CONTAINER_ID_H_
#define SERVICES_LOG_PORTS_CONTAINER_ID_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::log {

// 64 lower-case hex digits, so that it is a safe file name too. Immutable.
class ContainerId {
 public:
  // InvalidArgument, with what was given, for anything else.
  static absl::StatusOr<ContainerId> Parse(absl::string_view text);

  const std::string& value() const { return value_; }

 private:
  explicit ContainerId(std::string value) : value_(std::move(value)) {}
  std::string value_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_PORTS_CONTAINER_ID_H_
