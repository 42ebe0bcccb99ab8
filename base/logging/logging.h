#ifndef BASE_LOGGING_LOGGING_H_
#define BASE_LOGGING_LOGGING_H_

#include <initializer_list>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// Structured logs: one JSON object a line on stderr, {"time","level","service","message",
// fields...}. Quiet when all is well: INFO is for start, stop and what an operator asked for.
namespace slipway {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// One additional member of the object. The value is written as a JSON string.
struct LogField {
  absl::string_view name;
  std::string value;
};

// Called once in main, before threads. `level` is "debug", "info", "warning" or "error".
absl::Status InitLogging(absl::string_view service, absl::string_view level);

// Writes one line. Thread-safe; cheap when the level is off.
void Log(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields = {});

bool LogEnabled(LogLevel level);

// `text` as the inside of a JSON string; bytes that are not UTF-8 become U+FFFD.
std::string JsonEscape(absl::string_view text);

}  // namespace slipway

#endif  // BASE_LOGGING_LOGGING_H_
