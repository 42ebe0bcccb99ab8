#ifndef SERVICES_LOG_OUTLETS_DRIVERS_H_
#define SERVICES_LOG_OUTLETS_DRIVERS_H_

#include <memory>
#include <string>
#include <utility>

#include "services/log/ports/outlet.h"

namespace slipway::log {

struct DriverOptions {
  std::string json_directory;  // <json_directory>/<id>/<id>-json.log
  std::string journald_socket;
};

// Docker's drivers json-file, syslog, journald and fluentd, and loki and otlp. Thread-safe.
class Drivers : public OutletFactory {
 public:
  explicit Drivers(DriverOptions options) : options_(std::move(options)) {}

  absl::StatusOr<std::unique_ptr<Outlet>> Open(const ContainerId& id,
                                               const LogDescription& description,
                                               const std::string& state) override;
  bool Has(const LogDescription& description) const override;
  void Remove(const ContainerId& id) override;
  std::string Path(const ContainerId& id, const LogDescription& description) const override;

 private:
  const DriverOptions options_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_OUTLETS_DRIVERS_H_
