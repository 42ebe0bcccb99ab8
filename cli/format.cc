#include "cli/format.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace slipway::cli {

std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 3, ' ');
    }
    absl::StripTrailingAsciiWhitespace(&line);
    absl::StrAppend(&out, line, "\n");
  }
  return out;
}

std::string HumanSize(int64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  if (unit == 0) return absl::StrCat(bytes, "B");
  return absl::StrFormat("%.3g%s", value, kUnits[unit]);
}

std::string HumanDuration(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  const int64_t minutes = seconds / 60, hours = (seconds + 1800) / 3600;
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return absl::StrCat(seconds, " seconds");
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return absl::StrCat(minutes, " minutes");
  if (hours == 1) return "About an hour";
  if (hours < 48) return absl::StrCat(hours, " hours");
  if (hours < 24 * 14) return absl::StrCat(hours / 24, " days");
  if (hours < 24 * 60) return absl::StrCat(hours / 24 / 7, " weeks");
  if (hours < 24 * 365 * 2) return absl::StrCat(hours / 24 / 30, " months");
  return absl::StrCat(hours / 24 / 365, " years");
}

std::string StatusText(const container::v1::ContainerState& state, absl::Time now) {
  const auto since = [&](int64_t unix_ns) {
    return HumanDuration(now - absl::FromUnixNanos(unix_ns));
  };
  switch (state.status()) {
    case container::v1::CONTAINER_STATUS_RUNNING:
      return absl::StrCat("Up ", since(state.started_unix_ns()));
    case container::v1::CONTAINER_STATUS_PAUSED:
      return absl::StrCat("Up ", since(state.started_unix_ns()), " (Paused)");
    case container::v1::CONTAINER_STATUS_RESTARTING:
      return absl::StrCat("Restarting (", state.exit_code(), ") ", since(state.finished_unix_ns()),
                          " ago");
    case container::v1::CONTAINER_STATUS_EXITED:
      return absl::StrCat("Exited (", state.exit_code(), ") ", since(state.finished_unix_ns()),
                          " ago");
    case container::v1::CONTAINER_STATUS_REMOVING:
      return "Removal In Progress";
    case container::v1::CONTAINER_STATUS_DEAD:
      return "Dead";
    default:
      return "Created";
  }
}

std::string PortsText(const container::v1::Container& container) {
  std::vector<std::string> parts;
  for (const auto& endpoint : container.endpoints()) {
    for (const auto& port : endpoint.ports()) {
      const std::string inside = absl::StrCat(port.container_port(), "/", port.protocol());
      if (port.host_port() == 0) {
        parts.push_back(inside);
      } else {
        const std::string address = port.host_address().empty() ? "0.0.0.0" : port.host_address();
        parts.push_back(absl::StrCat(address, ":", port.host_port(), "->", inside));
      }
    }
  }
  return absl::StrJoin(parts, ", ");
}

std::string ShortId(absl::string_view id) {
  absl::ConsumePrefix(&id, "sha256:");
  return std::string(id.substr(0, 12));
}

std::string Timestamp(int64_t unix_ns) {
  int64_t seconds = unix_ns / 1'000'000'000, nanos = unix_ns % 1'000'000'000;
  if (nanos < 0) {
    --seconds;
    nanos += 1'000'000'000;
  }
  return absl::StrFormat(
      "%s.%09dZ",
      absl::FormatTime("%Y-%m-%dT%H:%M:%S", absl::FromUnixSeconds(seconds), absl::UTCTimeZone()),
      nanos);
}

absl::StatusOr<int64_t> ParseTime(absl::string_view text, absl::Time now) {
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &error)) return absl::ToUnixNanos(time);
  if (absl::ParseTime("%Y-%m-%dT%H:%M:%E*S", text, absl::UTCTimeZone(), &time, &error) ||
      absl::ParseTime("%Y-%m-%d", text, absl::UTCTimeZone(), &time, &error)) {
    return absl::ToUnixNanos(time);
  }
  const std::vector<absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits('.', 1));
  int64_t seconds = 0;
  if (absl::SimpleAtoi(parts[0], &seconds)) {
    int64_t nanos = 0;
    if (parts.size() == 2) {
      std::string digits(parts[1].substr(0, 9));
      digits.resize(9, '0');
      if (!std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) ||
          !absl::SimpleAtoi(digits, &nanos)) {
        return absl::InvalidArgumentError(absl::StrCat("not a time: \"", text, "\""));
      }
    }
    return seconds * 1'000'000'000 + nanos;
  }
  absl::Duration before;
  if (absl::ParseDuration(text, &before)) return absl::ToUnixNanos(now - before);
  return absl::InvalidArgumentError(
      absl::StrCat("not a time: \"", text, "\" (RFC 3339, Unix seconds, or a duration like 10m)"));
}

}  // namespace slipway::cli
