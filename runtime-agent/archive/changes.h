#ifndef RUNTIME_AGENT_ARCHIVE_CHANGES_H_
#define RUNTIME_AGENT_ARCHIVE_CHANGES_H_

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace slipway::agent {

// Calls `found` with 'A', 'C' or 'D' and the path for what an overlay's upper directory `upper`
// changes in `lower`, by dockerd's rules: parents before their content, sorted; a directory counts
// as changed where its mode or owner was changed, or something in it was.
absl::Status FindChanges(
    const std::string& upper, const std::string& lower,
    const std::function<absl::Status(char kind, const std::string& path)>& found);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_ARCHIVE_CHANGES_H_
