#ifndef CLI_FORMAT_H_
#define CLI_FORMAT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "slipway/container/v1/container.pb.h"

// How things are shown to a person, in docker's words. Pure; thread-safe.
namespace slipway::cli {

// Columns padded to their widest cell, three spaces between them; a newline after each row.
std::string Table(const std::vector<std::vector<std::string>>& rows);

// 1000-based, as docker: "0B", "4.26MB".
std::string HumanSize(int64_t bytes);

// "Less than a second", "5 seconds", "About a minute", "3 hours", "2 weeks".
std::string HumanDuration(absl::Duration duration);

// "Up 5 minutes", "Exited (3) 2 hours ago", "Created".
std::string StatusText(const container::v1::ContainerState& state, absl::Time now);

// "0.0.0.0:8080->80/tcp, 443/tcp".
std::string PortsText(const container::v1::Container& container);

// The first 12 hex digits, without "sha256:".
std::string ShortId(absl::string_view id);

// "2026-01-02T03:04:05.000000006Z", nine digits always.
std::string Timestamp(int64_t unix_ns);

// A point in time as `--since` takes it: RFC 3339, a duration before now ("10m"), or Unix seconds
// with a fraction.
absl::StatusOr<int64_t> ParseTime(absl::string_view text, absl::Time now);

}  // namespace slipway::cli

#endif  // CLI_FORMAT_H_
