#ifndef SERVICES_LOG_DOMAIN_OUTLET_RUNNER_H_
#define SERVICES_LOG_DOMAIN_OUTLET_RUNNER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/log/ports/counters.h"
#include "services/log/ports/log_store.h"
#include "services/log/ports/outlet.h"

namespace slipway::log {

struct OutletStats {
  std::string driver;
  uint64_t sent_entries = 0;
  uint64_t sent_bytes = 0;
  uint64_t dropped_bytes = 0;
  uint64_t failures = 0;
  std::string last_error;
  std::string path;
};

// Reads the logs of containers that have an outlet and gives it their lines, in order, from where
// it was before; a batch that was not taken is offered again, later and later. Reading from the
// store is all that ties an outlet to it: one that is dead costs a reader that waits. After a kill
// the last batch may be sent twice. Threads of its own. Thread-safe.
class OutletRunner {
 public:
  // What it is given outlives it.
  OutletRunner(LogStore& store, OutletFactory& factory, Counters& counters);
  ~OutletRunner();

  // Nothing for a container without an outlet.
  std::optional<OutletStats> Stats(const std::string& id) const;
  // What was read from the log so far goes into the old file, what follows into a new one. NotFound
  // for a container without an outlet.
  absl::Status Reopen(const std::string& id);

 private:
  class Feed;
  // What wakes feeds from any thread, and outlives the runner where a log still refers to it.
  struct Bell;

  void Run();
  void FindLogs();

  LogStore& store_;
  OutletFactory& factory_;
  Counters& counters_;
  const std::shared_ptr<Bell> bell_;
  mutable absl::Mutex mu_;
  std::map<std::string, std::shared_ptr<Feed>> feeds_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_OUTLET_RUNNER_H_
