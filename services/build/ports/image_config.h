#ifndef SERVICES_BUILD_PORTS_IMAGE_CONFIG_H_
#define SERVICES_BUILD_PORTS_IMAGE_CONFIG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// Plain values of images. Times are nanoseconds.
namespace slipway::build {

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;

  bool operator==(const Platform&) const = default;
  bool empty() const { return os.empty() && architecture.empty(); }
};

struct Healthcheck {
  std::vector<std::string> test;
  int64_t interval_ns = 0;
  int64_t timeout_ns = 0;
  int64_t start_period_ns = 0;
  int64_t start_interval_ns = 0;
  int32_t retries = 0;
};

// OCI image-spec, config.md, "config".
struct ImageConfig {
  std::string user;
  std::vector<std::string> exposed_ports;
  std::vector<std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> volumes;
  std::string working_directory;
  std::map<std::string, std::string> labels;
  std::string stop_signal;
  std::vector<std::string> shell;
  std::vector<std::string> on_build;
  std::optional<Healthcheck> healthcheck;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_PORTS_IMAGE_CONFIG_H_
