#ifndef SERVICES_LOG_OUTLETS_FLUENTD_H_
#define SERVICES_LOG_OUTLETS_FLUENTD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "services/log/outlets/connection.h"
#include "services/log/ports/outlet.h"

namespace slipway::log {

struct FluentdOptions {
  ConnectionOptions to;
  std::string tag;
  bool acknowledged = false;  // wait until the other side says that it has them
  bool sub_second = false;
  // container_id and so on, the same in every record.
  std::map<std::string, std::string> fields;
};

FluentdOptions ParseFluentdOptions(const ContainerId& id, const LogDescription& description);

// Fluentd's and Fluent Bit's forward protocol, version 1, in its Forward mode: one MessagePack
// array [tag, [[time, record], …], option] for a batch.
class Fluentd : public Outlet {
 public:
  explicit Fluentd(FluentdOptions options) : options_(std::move(options)) {}
  absl::Status Send(const std::vector<OutletLine>& lines) override;

 private:
  absl::Status AwaitAcknowledgement(absl::string_view chunk);

  const FluentdOptions options_;
  std::unique_ptr<Connection> connection_;
  uint64_t next_chunk_ = 0;
};

// A batch as it is sent. `chunk` is empty where no acknowledgement is asked for.
std::string ForwardMessage(const FluentdOptions& options, const std::vector<OutletLine>& lines,
                           absl::string_view chunk);

}  // namespace slipway::log

#endif  // SERVICES_LOG_OUTLETS_FLUENTD_H_
