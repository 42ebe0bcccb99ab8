#include "services/log/outlets/syslog.h"

#include <unistd.h>

#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/status/status_macros.h"
#include "services/log/outlets/attributes.h"

namespace slipway::log {
namespace {

using Transport = ConnectionOptions::Transport;
using Format = SyslogOptions::Format;

constexpr const char* kFacilities[] = {
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
    "uucp",   "cron",   "authpriv", "ftp",    "ntp",    "audit",  "alert",  "clock",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7"};

int Facility(const std::string& name) {
  int number = 0;
  if (absl::SimpleAtoi(name, &number) && number >= 0 && number <= 23) return number;
  for (size_t i = 0; i < std::size(kFacilities); ++i) {
    if (name == kFacilities[i]) return static_cast<int>(i);
  }
  return 3;
}

// Header fields have no spaces and only printable ASCII (RFC 5424 section 6).
std::string Field(absl::string_view text, size_t most) {
  std::string field;
  for (const char c : text.substr(0, most)) field += c > ' ' && c < 0x7f ? c : '_';
  return field.empty() ? "-" : field;
}

}  // namespace

absl::StatusOr<SyslogOptions> ParseSyslogOptions(const ContainerId& id,
                                                 const LogDescription& description) {
  SyslogOptions options{.facility = Facility(Option(description, "syslog-facility", "daemon")),
                        .hostname = description.hostname,
                        .tag = Tag(id, description, "{{.ID}}")};
  const std::string address = Option(description, "syslog-address");
  const size_t scheme = address.find("://");
  const std::string protocol = scheme == std::string::npos ? "" : address.substr(0, scheme);
  options.to.address = scheme == std::string::npos ? "/dev/log" : address.substr(scheme + 3);
  options.to.default_port = protocol == "tcp+tls" ? "6514" : "514";
  if (protocol == "udp") {
    options.to.transport = Transport::kUdp;
  } else if (protocol == "tcp") {
    options.to.transport = Transport::kTcp;
  } else if (protocol == "tcp+tls") {
    options.to.transport = Transport::kTls;
  } else {
    options.to.transport = Transport::kUnixDatagram;
  }
  options.to.ca_file = Option(description, "syslog-tls-ca-cert");
  options.to.certificate_file = Option(description, "syslog-tls-cert");
  options.to.key_file = Option(description, "syslog-tls-key");
  options.to.skip_verify = BoolOption(description, "syslog-tls-skip-verify", false);
  const std::string format = Option(description, "syslog-format");
  const bool local = options.to.transport == Transport::kUnixStream ||
                     options.to.transport == Transport::kUnixDatagram;
  options.format = format == "rfc3164"        ? Format::kRfc3164
                   : format == "rfc5424"      ? Format::kRfc5424
                   : format == "rfc5424micro" ? Format::kRfc5424Micro
                   : local                    ? Format::kLocal
                                              : Format::kRfc5424;
  return options;
}

std::string SyslogMessage(const SyslogOptions& options, const OutletLine& line) {
  const int severity = line.stream == StdStream::kStderr ? 3 : 6;
  const int priority = options.facility * 8 + severity;
  const absl::Time time = absl::FromUnixNanos(line.time_unix_ns);
  const absl::TimeZone utc = absl::UTCTimeZone();
  switch (options.format) {
    case Format::kLocal:
      return absl::StrCat("<", priority, ">", absl::FormatTime("%b %e %H:%M:%S", time, utc), " ",
                          Field(options.tag, 48), "[", getpid(), "]: ", line.text);
    case Format::kRfc3164:
      return absl::StrCat("<", priority, ">", absl::FormatTime("%b %e %H:%M:%S", time, utc), " ",
                          Field(options.hostname, 255), " ", Field(options.tag, 48), "[", getpid(),
                          "]: ", line.text);
    case Format::kRfc5424:
    case Format::kRfc5424Micro:
      break;
  }
  const char* const layout =
      options.format == Format::kRfc5424Micro ? "%Y-%m-%dT%H:%M:%E6SZ" : "%Y-%m-%dT%H:%M:%SZ";
  const std::string tag = Field(options.tag, 48);
  return absl::StrCat("<", priority, ">1 ", absl::FormatTime(layout, time, utc), " ",
                      Field(options.hostname, 255), " ", tag, " ", getpid(), " ", tag.substr(0, 32),
                      " - ", line.text);
}

absl::Status Syslog::EnsureConnection() {
  if (connection_ != nullptr && !connection_->closed()) return absl::OkStatus();
  connection_ = nullptr;
  ConnectionOptions to = options_.to;
  to.transport = transport_;
  auto opened = Connection::Open(to);
  const bool is_unix =
      transport_ == Transport::kUnixDatagram || transport_ == Transport::kUnixStream;
  if (!opened.ok() && is_unix) {
    to.transport =
        transport_ == Transport::kUnixDatagram ? Transport::kUnixStream : Transport::kUnixDatagram;
    if (auto other = Connection::Open(to); other.ok()) {
      opened = std::move(other);
      transport_ = to.transport;
    }
  }
  RETURN_IF_ERROR(opened.status());
  connection_ = *std::move(opened);
  return absl::OkStatus();
}

absl::Status Syslog::Send(const std::vector<OutletLine>& lines) {
  RETURN_IF_ERROR(EnsureConnection());
  const bool datagrams = transport_ == Transport::kUdp || transport_ == Transport::kUnixDatagram;
  absl::Status status;
  std::string bytes;
  for (const OutletLine& line : lines) {
    std::string message = SyslogMessage(options_, line);
    if (datagrams) {
      status = connection_->Write(message);
      if (!status.ok()) break;
    } else if (transport_ == Transport::kTls) {
      absl::StrAppend(&bytes, message.size(), " ", message);
    } else {
      bytes += message;
      bytes += '\n';
    }
  }
  if (status.ok() && !bytes.empty()) status = connection_->Write(bytes);
  if (!status.ok()) connection_ = nullptr;
  return status;
}

}  // namespace slipway::log
