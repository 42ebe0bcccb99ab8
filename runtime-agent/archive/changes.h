#ifndef RUNTIME_AGENT_ARCHIVE_CHANGES_H_
#define RUNTIME_AGENT_ARCHIVE_CHANGES_H_

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace slipway::agent {

// Calls `found` with 'A', 'C' or 'D' and the path for what an overlay's upper directory `upper`
// changes in `lower`, as `docker diff` tells it: parents before their content, sorted; a directory
// that is only there because of what is in it counts as changed where something was added or
// deleted in it.
absl::Status FindChanges(
    const std::string& upper, const std::string& lower,
    const std::function<absl::Status(char kind, const std::string& path)>& found);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_ARCHIVE_CHANGES_H_
