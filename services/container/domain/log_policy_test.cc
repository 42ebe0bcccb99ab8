#include "services/container/domain/log_policy.h"

#include <gtest/gtest.h>

#include <vector>

namespace slipway::container {
namespace {

struct Case {
  LogPolicy policy;
  std::string error;  // empty: fine
};

// The words are those of dockerd 20.10.
TEST(LogPolicyTest, DriversOptionsAndValues) {
  const std::vector<Case> cases = {
      {{"", {}}, ""},
      {{"nosuch", {}}, "error looking up logging plugin nosuch: plugin \"nosuch\" not found"},
      {{"", {{"zap", "1"}}}, "unknown log opt 'zap' for json-file log driver"},
      {{"local", {{"zap", "1"}}}, "unknown log opt 'zap' for log driver local"},
      {{"local", {{"labels", "a"}}}, "unknown log opt 'labels' for log driver local"},
      {{"none", {{"zap", "1"}}}, ""},
      {{"journald", {{"zap", "1"}}}, "unknown log opt 'zap' for journald log driver"},
      {{"syslog", {{"syslog-address", "foo://1"}}},
       "syslog-address should be in form proto://address, got foo://1"},
      {{"syslog", {{"syslog-address", "tcp+tls://h:6514"}}}, ""},
      {{"syslog", {{"syslog-facility", "zork"}}}, "invalid syslog facility"},
      {{"syslog", {{"syslog-facility", "local3"}, {"syslog-format", "rfc5424micro"}}}, ""},
      {{"syslog", {{"syslog-format", "x"}}}, "Invalid syslog format"},
      {{"fluentd", {{"fluentd-address", "foo://"}}},
       "invalid fluentd-address foo://: unsupported scheme: foo"},
      {{"fluentd", {{"fluentd-address", "unix:///run/f.sock"}}}, ""},
      {{"fluentd", {{"fluentd-address", "host:x"}}},
       "invalid fluentd-address host:x: strconv.Atoi: parsing \"x\": invalid syntax"},
      {{"fluentd", {{"fluentd-buffer-limit", "x"}}}, "invalid size: 'x'"},
      {{"fluentd", {{"fluentd-async", "x"}}}, "strconv.ParseBool: parsing \"x\": invalid syntax"},
      {{"loki", {}}, "loki-url is a required parameter"},
      {{"loki", {{"loki-url", "ftp://x"}}},
       "loki-url should be in form http://address, got ftp://x"},
      {{"otlp", {{"otlp-endpoint", "http://x"}}}, ""},
      {{"", {{"mode", "sometimes"}}}, "logger: logging mode not supported: sometimes"},
      {{"", {{"max-buffer-size", "1m"}}},
       "logger: max-buffer-size option is only supported with 'mode=non-blocking'"},
      {{"", {{"max-buffer-size", "lots"}, {"mode", "non-blocking"}}},
       "error parsing option max-buffer-size: invalid size: 'lots'"},
      {{"", {{"max-size", "x"}}}, "failed to initialize logging driver: invalid size: 'x'"},
      {{"", {{"max-size", "10m"}, {"max-file", "3"}, {"compress", "true"}}}, ""},
      {{"", {{"max-file", "0"}}},
       "failed to initialize logging driver: max-file cannot be less than 1"},
  };
  for (const Case& each : cases) {
    const absl::Status status = ValidateLogPolicy(each.policy);
    EXPECT_EQ(status.message(), each.error) << each.policy.driver;
    EXPECT_EQ(status.ok() || status.code() == absl::StatusCode::kInvalidArgument, true);
  }
}

}  // namespace
}  // namespace slipway::container
