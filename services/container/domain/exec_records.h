#ifndef SERVICES_CONTAINER_DOMAIN_EXEC_RECORDS_H_
#define SERVICES_CONTAINER_DOMAIN_EXEC_RECORDS_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "services/container/model/spec.h"

namespace slipway::container {

struct ExecRecord {
  enum class Phase { kCreated, kStarting, kRunning, kEnded };
  std::string id;
  std::string container_id;
  ExecSpec spec;
  Phase phase = Phase::kCreated;
  std::optional<int32_t> exit_code;
  int64_t pid = 0;
};

// Execs of all containers, in memory only. Bounded: the oldest ended ones make room, then the
// oldest that were never started. Thread-safe.
class ExecRecords {
 public:
  explicit ExecRecords(size_t maximum) : maximum_(maximum) {}

  // RESOURCE_EXHAUSTED when as many as the bound are running.
  absl::Status Add(ExecRecord record) ABSL_LOCKS_EXCLUDED(mu_);
  // NOT_FOUND in Docker's words.
  absl::StatusOr<ExecRecord> Get(absl::string_view id) const ABSL_LOCKS_EXCLUDED(mu_);
  // From created to starting; FAILED_PRECONDITION when it was started before.
  absl::StatusOr<ExecRecord> BeginStart(absl::string_view id) ABSL_LOCKS_EXCLUDED(mu_);
  // Keeps an end that was reported before.
  void Started(absl::string_view id, int64_t pid) ABSL_LOCKS_EXCLUDED(mu_);
  // Back to created: it is not known that anything ran.
  void StartUndone(absl::string_view id) ABSL_LOCKS_EXCLUDED(mu_);
  // False when it had ended before, or is not known.
  bool Ended(absl::string_view id, int32_t exit_code) ABSL_LOCKS_EXCLUDED(mu_);
  // Ids of those of a container that have not ended.
  std::vector<std::string> LiveOf(absl::string_view container_id) const ABSL_LOCKS_EXCLUDED(mu_);
  void DropContainer(absl::string_view container_id) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  bool MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Erase(const std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const size_t maximum_;
  mutable absl::Mutex mu_;
  absl::flat_hash_map<std::string, ExecRecord> records_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, std::vector<std::string>> by_container_ ABSL_GUARDED_BY(mu_);
  std::deque<std::string> order_ ABSL_GUARDED_BY(mu_);  // oldest first; may name dropped ones
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_EXEC_RECORDS_H_
