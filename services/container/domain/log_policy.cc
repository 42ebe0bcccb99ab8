#include "services/container/domain/log_policy.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::container {
namespace {

using Names = std::initializer_list<absl::string_view>;

struct Driver {
  absl::string_view name;
  absl::string_view unknown_option_suffix;
  // No initializer_list: what that refers to ends with the expression.
  std::vector<absl::string_view> options;
};

// What every driver that adds facts of the container to its records knows.
#define SLIPWAY_ATTRIBUTE_OPTIONS "labels", "labels-regex", "env", "env-regex", "tag"

const std::vector<Driver>& Drivers() {
  static const std::vector<Driver>* const drivers = new std::vector<Driver>{
      {"json-file",
       "json-file log driver",
       {"max-file", "max-size", "compress", SLIPWAY_ATTRIBUTE_OPTIONS}},
      {"local", "log driver local", {"max-file", "max-size", "compress"}},
      {"syslog",
       "syslog log driver",
       {"syslog-address", "syslog-facility", "syslog-tls-ca-cert", "syslog-tls-cert",
        "syslog-tls-key", "syslog-tls-skip-verify", "syslog-format", SLIPWAY_ATTRIBUTE_OPTIONS}},
      {"journald", "journald log driver", {SLIPWAY_ATTRIBUTE_OPTIONS}},
      {"fluentd",
       "fluentd log driver",
       {"fluentd-address", "fluentd-async", "fluentd-async-connect", "fluentd-buffer-limit",
        "fluentd-retry-wait", "fluentd-max-retries", "fluentd-request-ack",
        "fluentd-sub-second-precision", SLIPWAY_ATTRIBUTE_OPTIONS}},
      {"loki", "loki log driver", {"loki-url", "loki-tenant-id", SLIPWAY_ATTRIBUTE_OPTIONS}},
      {"otlp", "otlp log driver", {"otlp-endpoint", SLIPWAY_ATTRIBUTE_OPTIONS}},
  };
  return *drivers;
}

#undef SLIPWAY_ATTRIBUTE_OPTIONS

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// As go-units' RAMInBytes takes them, fractions apart.
bool IsSize(absl::string_view text) {
  absl::string_view digits = text;
  if (absl::EndsWithIgnoreCase(digits, "ib")) {
    digits.remove_suffix(2);
  } else if (absl::EndsWithIgnoreCase(digits, "b")) {
    digits.remove_suffix(1);
  }
  if (!digits.empty() && absl::StrContains("kmgtpKMGTP", digits.substr(digits.size() - 1))) {
    digits.remove_suffix(1);
  }
  uint64_t value = 0;
  return absl::SimpleAtoi(digits, &value);
}

bool IsBool(absl::string_view text) {
  const Names words = {"1", "t", "T", "TRUE",  "true",  "True",
                       "0", "f", "F", "FALSE", "false", "False"};
  return std::find(words.begin(), words.end(), text) != words.end();
}

absl::Status ValidateSyslog(absl::string_view name, const std::string& value) {
  if (name == "syslog-address" && !value.empty()) {
    const Names protocols = {"unix://", "unixgram://", "udp://", "tcp://", "tcp+tls://"};
    if (std::none_of(protocols.begin(), protocols.end(), [&](absl::string_view protocol) {
          return absl::StartsWith(value, protocol) && value.size() > protocol.size();
        })) {
      return Bad("syslog-address should be in form proto://address, got ", value);
    }
  }
  if (name == "syslog-facility") {
    const Names facilities = {"",       "kern",   "user",   "mail",   "daemon", "auth",
                              "syslog", "lpr",    "news",   "uucp",   "cron",   "authpriv",
                              "ftp",    "local0", "local1", "local2", "local3", "local4",
                              "local5", "local6", "local7"};
    int number = 0;
    const bool numbered = absl::SimpleAtoi(value, &number) && number >= 0 && number <= 23;
    if (!numbered && std::find(facilities.begin(), facilities.end(), value) == facilities.end()) {
      return Bad("invalid syslog facility");
    }
  }
  if (name == "syslog-format") {
    const Names formats = {"", "rfc3164", "rfc5424", "rfc5424micro"};
    if (std::find(formats.begin(), formats.end(), value) == formats.end()) {
      return Bad("Invalid syslog format");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateFluentd(absl::string_view name, const std::string& value) {
  if (name == "fluentd-address" && !value.empty()) {
    absl::string_view rest = value;
    const size_t scheme = rest.find("://");
    if (scheme != absl::string_view::npos) {
      const Names schemes = {"tcp", "tls", "unix"};
      if (std::find(schemes.begin(), schemes.end(), rest.substr(0, scheme)) == schemes.end()) {
        return Bad("invalid fluentd-address ", value,
                   ": unsupported scheme: ", rest.substr(0, scheme));
      }
      if (rest.substr(0, scheme) == "unix") return absl::OkStatus();
      rest.remove_prefix(scheme + 3);
    }
    const size_t colon = rest.rfind(':');
    uint32_t port = 0;
    if (colon != absl::string_view::npos && rest.back() != ']' &&
        (!absl::SimpleAtoi(rest.substr(colon + 1), &port) || port > 65535)) {
      return Bad("invalid fluentd-address ", value, ": strconv.Atoi: parsing \"",
                 rest.substr(colon + 1), "\": invalid syntax");
    }
  }
  if (name == "fluentd-buffer-limit" && !IsSize(value)) return Bad("invalid size: '", value, "'");
  const Names switches = {"fluentd-async", "fluentd-async-connect", "fluentd-request-ack",
                          "fluentd-sub-second-precision"};
  if (std::find(switches.begin(), switches.end(), name) != switches.end() && !value.empty() &&
      !IsBool(value)) {
    return Bad("strconv.ParseBool: parsing \"", value, "\": invalid syntax");
  }
  return absl::OkStatus();
}

// What dockerd finds out when it starts the container.
absl::Status ValidateFileOption(absl::string_view name, const std::string& value) {
  constexpr absl::string_view kStart = "failed to initialize logging driver: ";
  if (name == "max-size" && value != "-1" && !IsSize(value)) {
    return Bad(kStart, "invalid size: '", value, "'");
  }
  if (name == "max-file") {
    int64_t files = 0;
    if (!absl::SimpleAtoi(value, &files)) {
      return Bad(kStart, "strconv.Atoi: parsing \"", value, "\": invalid syntax");
    }
    if (files < 1) return Bad(kStart, "max-file cannot be less than 1");
  }
  if (name == "compress" && !IsBool(value)) {
    return Bad(kStart, "strconv.ParseBool: parsing \"", value, "\": invalid syntax");
  }
  return absl::OkStatus();
}

absl::Status ValidateMode(const LogPolicy& policy) {
  const auto mode = policy.options.find("mode");
  const std::string given = mode == policy.options.end() ? "" : mode->second;
  if (!given.empty() && given != "blocking" && given != "non-blocking") {
    return Bad("logger: logging mode not supported: ", given);
  }
  const auto size = policy.options.find("max-buffer-size");
  if (size == policy.options.end()) return absl::OkStatus();
  if (given != "non-blocking") {
    return Bad("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
  }
  if (!IsSize(size->second)) {
    return Bad("error parsing option max-buffer-size: invalid size: '", size->second, "'");
  }
  return absl::OkStatus();
}

absl::Status RequireUrl(const LogPolicy& policy, const std::string& name) {
  const auto url = policy.options.find(name);
  if (url == policy.options.end()) return Bad(name, " is a required parameter");
  if (!absl::StartsWith(url->second, "http://") && !absl::StartsWith(url->second, "https://")) {
    return Bad(name, " should be in form http://address, got ", url->second);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateLogPolicy(const LogPolicy& policy) {
  if (policy.driver == "none") return absl::OkStatus();
  RETURN_IF_ERROR(ValidateMode(policy));
  // Docker's own default is json-file, and its options are taken by ours too.
  const std::string name = policy.driver.empty() ? "json-file" : policy.driver;
  const auto driver = std::find_if(Drivers().begin(), Drivers().end(),
                                   [&](const Driver& each) { return each.name == name; });
  if (driver == Drivers().end()) {
    return Bad("error looking up logging plugin ", name, ": plugin \"", name, "\" not found");
  }
  for (const auto& [option, value] : policy.options) {
    if (option == "mode" || option == "max-buffer-size") continue;
    if (std::find(driver->options.begin(), driver->options.end(), option) ==
        driver->options.end()) {
      return Bad("unknown log opt '", option, "' for ", driver->unknown_option_suffix);
    }
    RETURN_IF_ERROR(ValidateFileOption(option, value));
    if (name == "syslog") RETURN_IF_ERROR(ValidateSyslog(option, value));
    if (name == "fluentd") RETURN_IF_ERROR(ValidateFluentd(option, value));
  }
  if (name == "loki") return RequireUrl(policy, "loki-url");
  if (name == "otlp") return RequireUrl(policy, "otlp-endpoint");
  return absl::OkStatus();
}

}  // namespace slipway::container
