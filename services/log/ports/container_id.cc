#include "services/log/ports/container_id.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace slipway::log {

absl::StatusOr<ContainerId> ContainerId::Parse(absl::string_view text) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (text.size() != 64 || !std::all_of(text.begin(), text.end(), is_hex)) {
    return absl::InvalidArgumentError(absl::StrCat("container id \"",
                                                   absl::CHexEscape(text.substr(0, 80)),
                                                   "\" is not 64 lower-case hex digits"));
  }
  return ContainerId(std::string(text));
}

}  // namespace slipway::log
