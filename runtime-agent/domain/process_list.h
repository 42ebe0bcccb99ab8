#ifndef RUNTIME_AGENT_DOMAIN_PROCESS_LIST_H_
#define RUNTIME_AGENT_DOMAIN_PROCESS_LIST_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// ps(1) without ps: the columns that `docker top` is asked for, read from /proc. Thread-safe.
namespace slipway::agent {

struct ProcessTable {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> rows;  // one value for each title
};

// One column of the output.
struct ProcessColumn {
  std::string name;   // as -o takes it: "pid"
  std::string title;  // "PID"
};

// What ps options ask for; none means "-ef". InvalidArgument for an option or a column that is not
// known, and when no column has the process id, as dockerd wants it.
absl::StatusOr<std::vector<ProcessColumn>> ParsePsOptions(const std::vector<std::string>& options);

// The processes among `pids` that are still there, in that order. `proc`: where /proc is.
absl::StatusOr<ProcessTable> ListProcesses(const std::vector<pid_t>& pids,
                                           const std::vector<ProcessColumn>& columns,
                                           const std::string& proc = "/proc");

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_PROCESS_LIST_H_
