#ifndef SERVICES_LOG_OUTLETS_SYSLOG_H_
#define SERVICES_LOG_OUTLETS_SYSLOG_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "services/log/outlets/connection.h"
#include "services/log/ports/outlet.h"

namespace slipway::log {

struct SyslogOptions {
  ConnectionOptions to;
  int facility = 3;  // daemon
  enum class Format { kLocal, kRfc3164, kRfc5424, kRfc5424Micro };
  Format format = Format::kRfc5424;
  std::string hostname;
  std::string tag;
};

// The options of Docker's driver. Without an address: /dev/log. RFC 5424 is what goes over a
// network unless another format is asked for, and the form of syslog(3) what goes to a socket of
// this host.
absl::StatusOr<SyslogOptions> ParseSyslogOptions(const ContainerId& id,
                                                 const LogDescription& description);

// One message, without what separates it from the next one (RFC 5424; RFC 3164).
std::string SyslogMessage(const SyslogOptions& options, const OutletLine& line);

// Syslog over UDP (RFC 5426), TCP (RFC 6587, messages end with a newline), TLS (RFC 5425, messages
// begin with their length) and unix sockets.
class Syslog : public Outlet {
 public:
  explicit Syslog(SyslogOptions options)
      : options_(std::move(options)), transport_(options_.to.transport) {}
  absl::Status Send(const std::vector<OutletLine>& lines) override;

 private:
  absl::Status EnsureConnection();

  const SyslogOptions options_;
  ConnectionOptions::Transport transport_;  // a unix socket may be of either type
  std::unique_ptr<Connection> connection_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_OUTLETS_SYSLOG_H_
