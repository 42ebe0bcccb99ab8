#ifndef SERVICES_LOG_DOMAIN_SELECTION_H_
#define SERVICES_LOG_DOMAIN_SELECTION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/log/ports/description.h"

namespace slipway::log {

// Which logs: those that satisfy everything that is set.
struct Selector {
  std::vector<std::string> containers;  // ids, unique prefixes of ids, or names
  std::vector<std::string> labels;      // "key" or "key=value"; all must hold
  std::vector<std::string> images;      // any
  std::vector<std::string> projects;    // of compose; any
  bool all = false;

  bool empty() const {
    return containers.empty() && labels.empty() && images.empty() && projects.empty() && !all;
  }
  // Logs may join the selection later.
  bool open() const { return containers.empty(); }
};

// The latest to be created first. InvalidArgument for a selector that is empty; NotFound names a
// container that has no log, FailedPrecondition one whose prefix several have. Pure; thread-safe.
absl::StatusOr<std::vector<DescribedLog>> Select(std::vector<DescribedLog> logs,
                                                 const Selector& selector);

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_SELECTION_H_
