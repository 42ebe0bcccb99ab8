#ifndef GATEWAY_ENDPOINTS_TERMINAL_SIZE_H_
#define GATEWAY_ENDPOINTS_TERMINAL_SIZE_H_

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "gateway/http/url.h"
#include "slipway/common/v1/common.pb.h"

namespace slipway::gateway {

// The parameters "h" and "w" of a resize. InvalidArgument unless both are in [0, 65535].
inline absl::StatusOr<slipway::common::v1::TerminalSize> ReadTerminalSize(const Query& query) {
  slipway::common::v1::TerminalSize size;
  for (const char* key : {"h", "w"}) {
    ASSIGN_OR_RETURN(const std::optional<int64_t> cells, query.GetInt(key));
    if (!cells || *cells < 0 || *cells > 65535) {
      return absl::InvalidArgumentError(
          absl::StrCat("invalid terminal size: ", key, "=\"", query.Get(key), "\""));
    }
    const auto number = static_cast<uint32_t>(*cells);
    if (key[0] == 'h') size.set_rows(number);
    if (key[0] == 'w') size.set_columns(number);
  }
  return size;
}

}  // namespace slipway::gateway

#endif  // GATEWAY_ENDPOINTS_TERMINAL_SIZE_H_
