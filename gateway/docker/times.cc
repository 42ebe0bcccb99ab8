#include "gateway/docker/times.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace slipway::gateway {
namespace {

bool AllDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

}  // namespace

std::string Rfc3339NanoFixed(int64_t unix_ns) {
  // Logs have millions of these: the second's text is kept from one to the next.
  thread_local int64_t known_second = -1;
  thread_local std::string known_text;
  int64_t second = unix_ns / 1'000'000'000;
  int64_t fraction = unix_ns % 1'000'000'000;
  if (fraction < 0) {
    fraction += 1'000'000'000;
    --second;
  }
  if (second != known_second || known_text.empty()) {
    known_text =
        absl::FormatTime("%Y-%m-%dT%H:%M:%S.", absl::FromUnixSeconds(second), absl::UTCTimeZone());
    known_second = second;
  }
  char digits[10];
  for (int i = 8; i >= 0; --i) {
    digits[i] = static_cast<char>('0' + fraction % 10);
    fraction /= 10;
  }
  digits[9] = 'Z';
  std::string text;
  text.reserve(known_text.size() + sizeof(digits));
  text.append(known_text).append(digits, sizeof(digits));
  return text;
}

std::string Rfc3339Nano(int64_t unix_ns) {
  if (unix_ns == 0) return "0001-01-01T00:00:00Z";
  std::string text = Rfc3339NanoFixed(unix_ns);
  text.pop_back();
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text + "Z";
}

absl::StatusOr<int64_t> ParseTimestamp(absl::string_view name, absl::string_view text) {
  if (text.empty()) return 0;
  const size_t dot = text.find('.');
  const absl::string_view whole = text.substr(0, dot);
  const absl::string_view fraction = dot == absl::string_view::npos ? "" : text.substr(dot + 1);
  const bool negative = !whole.empty() && whole[0] == '-';
  int64_t seconds = 0;
  if (AllDigits(negative ? whole.substr(1) : whole) && absl::SimpleAtoi(whole, &seconds) &&
      (fraction.empty() || AllDigits(fraction))) {
    if (negative) return 0;
    std::string nanoseconds(fraction.substr(0, 9));
    nanoseconds.resize(9, '0');
    int64_t ns = 0;
    if (seconds > 9'000'000'000 || !absl::SimpleAtoi(nanoseconds, &ns)) {
      return absl::InvalidArgumentError(
          absl::StrCat("invalid value for \"", name, "\": ", text, " is out of range"));
    }
    return seconds * 1'000'000'000 + ns;
  }
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return std::max<int64_t>(0, absl::ToUnixNanos(time));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("invalid value for \"", name, "\": \"", text, "\" is not a time"));
}

std::string HumanDuration(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(duration));
  const int64_t minutes = seconds / 60;
  // Hours are rounded from here on, as Docker's client does.
  const auto hours = static_cast<int64_t>(absl::ToDoubleHours(duration) + 0.5);
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return absl::StrCat(seconds, " seconds");
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return absl::StrCat(minutes, " minutes");
  if (hours == 1) return "About an hour";
  if (hours < 48) return absl::StrCat(hours, " hours");
  if (hours < 24 * 7 * 2) return absl::StrCat(hours / 24, " days");
  if (hours < 24 * 30 * 2) return absl::StrCat(hours / 24 / 7, " weeks");
  if (hours < 24 * 365 * 2) return absl::StrCat(hours / 24 / 30, " months");
  return absl::StrCat(hours / 24 / 365, " years");
}

}  // namespace slipway::gateway
