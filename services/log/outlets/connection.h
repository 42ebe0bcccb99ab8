#ifndef SERVICES_LOG_OUTLETS_CONNECTION_H_
#define SERVICES_LOG_OUTLETS_CONNECTION_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::log {

struct ConnectionOptions {
  enum class Transport { kUnixStream, kUnixDatagram, kUdp, kTcp, kTls };
  Transport transport = Transport::kTcp;
  std::string address;  // path, or "host:port"
  std::string default_port;
  // Of kTls.
  std::string ca_file, certificate_file, key_file;
  bool skip_verify = false;
};

// A connection to a log collector. Nothing here waits longer than kPatienceMs. Not thread-safe.
class Connection {
 public:
  static constexpr int kPatienceMs = 3000;
  // The error names the address.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const ConnectionOptions& options);
  virtual ~Connection() = default;
  // All of it, on a datagram socket as one datagram.
  virtual absl::Status Write(absl::string_view bytes) = 0;
  // Something, at least one byte. Unavailable when the other side has closed.
  virtual absl::StatusOr<std::string> Read() = 0;
  // The other side has closed, as far as this is known without waiting.
  virtual bool closed() const = 0;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_OUTLETS_CONNECTION_H_
