#ifndef SERVICES_LOG_PORTS_DESCRIPTION_H_
#define SERVICES_LOG_PORTS_DESCRIPTION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace slipway::log {

// What a log is of: the agent tells it with the first records. Plain data.
struct LogDescription {
  std::string name;
  std::string image;
  std::string image_id;
  std::map<std::string, std::string> labels;
  std::vector<std::string> env;  // "NAME=value"; those that the log options name
  std::vector<std::string> argv;
  bool tty = false;
  std::string driver;  // empty: local
  std::map<std::string, std::string> options;
  int64_t created_unix_ns = 0;
  std::string hostname;

  bool operator==(const LogDescription&) const = default;
};

struct DescribedLog {
  std::string container_id;
  // Never null; empty for a log of which nothing was told.
  std::shared_ptr<const LogDescription> description;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_PORTS_DESCRIPTION_H_
