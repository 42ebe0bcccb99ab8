#include "gateway/docker/restart_policy.h"

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::gateway {

namespace pb = slipway::container::v1;

absl::StatusOr<std::optional<pb::RestartPolicy>> ReadRestartPolicy(JsonFields& parent) {
  const boost::json::object* object = parent.Object("RestartPolicy");
  RETURN_IF_ERROR(parent.status());
  if (object == nullptr) return std::nullopt;
  JsonFields fields(*object, parent.PathOf("RestartPolicy"));
  const std::string name = fields.String("Name");
  const int64_t retries = fields.Int("MaximumRetryCount");
  RETURN_IF_ERROR(fields.status());
  pb::RestartPolicy policy;
  if (name == "always") {
    policy.set_mode(pb::RestartPolicy::MODE_ALWAYS);
  } else if (name == "on-failure") {
    policy.set_mode(pb::RestartPolicy::MODE_ON_FAILURE);
  } else if (name == "unless-stopped") {
    policy.set_mode(pb::RestartPolicy::MODE_UNLESS_STOPPED);
  } else if (name.empty() || name == "no") {
    policy.set_mode(pb::RestartPolicy::MODE_NO);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("invalid restart policy '", name, "'"));
  }
  if (retries < 0 || retries > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        "invalid restart policy: maximum retry count cannot be negative");
  }
  if (retries != 0 && name != "on-failure") {
    return absl::InvalidArgumentError(
        "invalid restart policy: maximum retry count can only be used with 'on-failure'");
  }
  policy.set_maximum_retries(static_cast<int32_t>(retries));
  return policy;
}

}  // namespace slipway::gateway
