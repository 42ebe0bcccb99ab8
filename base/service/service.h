#ifndef BASE_SERVICE_SERVICE_H_
#define BASE_SERVICE_SERVICE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// What every main() of a service shares: common flags, logging, signals, the version.
namespace slipway {

// The common flags: --root (state, default /var/lib/slipway/<name>), --run_dir (sockets, default
// /run/slipway),
// --prefix (names of kernel objects, default "slipway"), --socket (default <run_dir>/<name>.sock),
// --metrics_address (default the service's own port, empty for none), --log_level, --version.
struct ServiceOptions {
  std::string root;
  std::string run_dir;
  std::string prefix;
  std::string socket;
  std::string metrics_address;
};

// Parses flags (absl flags; "-" and "_" in names are the same), starts logging, blocks SIGTERM and
// SIGINT in this and all later threads, ignores SIGPIPE, caps malloc's arenas and makes `root`
// where it is missing. Prints what is wrong and exits with 2 on bad flags. Call first in main.
ServiceOptions InitService(int argc, char** argv, absl::string_view name,
                           absl::string_view default_metrics_address);

// Blocks until SIGTERM or SIGINT arrives, and logs it.
void WaitForTermination();

// Logs `status` when it is an error; the exit code for main.
int ExitCode(const absl::Status& status);

// "0.1.0".
absl::string_view Version();

}  // namespace slipway

#endif  // BASE_SERVICE_SERVICE_H_
