#ifndef SERVICES_LOG_SERVER_H_
#define SERVICES_LOG_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace slipway::log {

struct ServerOptions {
  std::string root;             // state
  std::string socket;           // where to listen
  std::string metrics_address;  // empty: none
  uint64_t max_segment_bytes = 16 << 20;
  uint64_t max_container_bytes = uint64_t{2} << 30;
  uint64_t max_total_bytes = uint64_t{20} << 30;
  absl::Duration max_age;       // zero: kept however old
  std::string journald_socket;  // empty: systemd's
};

// The running service: the only place that names concrete types. The destructor ends calls, then
// syncs what was appended. Thread-safe.
class Server {
 public:
  // InvalidArgument for limits that make no sense; otherwise the error names file or socket.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  virtual ~Server() = default;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_SERVER_H_
