#ifndef RUNTIME_AGENT_OCI_LOG_H_
#define RUNTIME_AGENT_OCI_LOG_H_

#include <string>

#include "absl/strings/string_view.h"

// The log file that engines hand to a runtime (--log, --log-format) and read its errors from.
namespace slipway::agent {

// `path` empty: stderr only. `json`: one object a line, {"level","msg","time"}.
void SetRuntimeLog(const std::string& path, bool json);

// `level` is "error", "warning" or "info". Errors go to stderr too.
void RuntimeLog(absl::string_view level, absl::string_view message);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_OCI_LOG_H_
