#include "services/build/domain/go_format.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/text/utf8.h"

namespace slipway::build {
namespace {

// Go's time.Duration: "1m30s", "1.5s", "0s".
std::string GoDuration(int64_t ns) {
  if (ns == 0) return "0s";
  const auto trimmed = [](double value, const char* unit) { return absl::StrCat(value, unit); };
  if (ns < 1'000) return absl::StrCat(ns, "ns");
  if (ns < 1'000'000) return trimmed(static_cast<double>(ns) / 1e3, "µs");
  if (ns < 1'000'000'000) return trimmed(static_cast<double>(ns) / 1e6, "ms");
  const int64_t hours = ns / 3'600'000'000'000;
  const int64_t minutes = ns / 60'000'000'000 % 60;
  const double seconds = static_cast<double>(ns % 60'000'000'000) / 1e9;
  std::string out;
  if (hours > 0) absl::StrAppend(&out, hours, "h");
  if (hours > 0 || minutes > 0) absl::StrAppend(&out, minutes, "m");
  return absl::StrCat(out, seconds, "s");
}

}  // namespace

std::string GoQuote(absl::string_view text) {
  std::string out = "\"";
  const std::string valid = ValidUtf8(text);
  for (const char c : valid) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += absl::StrFormat("\\x%02x", c);
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string GoQuote(const std::vector<std::string>& list) {
  return absl::StrCat(
      "[",
      absl::StrJoin(list, " ",
                    [](std::string* out, const std::string& item) { out->append(GoQuote(item)); }),
      "]");
}

std::string GoQuote(const Healthcheck& check) {
  std::string retries = "'\\x00'";
  if (check.retries > 0 && check.retries < 0x20) {
    retries = absl::StrFormat("'\\x%02x'", check.retries);
  } else if (check.retries > 0 && check.retries < 0x7f) {
    retries = absl::StrCat("'", std::string(1, static_cast<char>(check.retries)), "'");
  }
  return absl::StrCat("&{", GoQuote(check.test), " \"", GoDuration(check.interval_ns), "\" \"",
                      GoDuration(check.timeout_ns), "\" \"", GoDuration(check.start_period_ns),
                      "\" ", retries, "}");
}

std::string GoList(const std::vector<std::string>& list) {
  return absl::StrCat("[", absl::StrJoin(list, " "), "]");
}

}  // namespace slipway::build
