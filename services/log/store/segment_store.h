#ifndef SERVICES_LOG_STORE_SEGMENT_STORE_H_
#define SERVICES_LOG_STORE_SEGMENT_STORE_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/log/domain/retention.h"
#include "services/log/ports/counters.h"
#include "services/log/ports/log_store.h"
#include "services/log/store/catalogue.h"
#include "services/log/store/container_log.h"
#include "services/log/store/sealer.h"

namespace slipway::log {

// Every container's log below one directory: `<root>/containers/<id>/`, and `<root>/deleting/` for
// what waits to be removed. A log is opened when it is first used and forgotten when nobody used it
// for a minute. One thread of its own syncs what was appended each second, keeps the total below
// its limit and removes deleted logs; another one seals segments. Thread-safe.
class SegmentStore : public LogStore {
 public:
  // `counters` outlives the store. The error names the directory.
  static absl::StatusOr<std::unique_ptr<SegmentStore>> Open(const std::string& root,
                                                            const StoreLimits& limits,
                                                            Counters& counters);
  // Syncs. Readers and cursors must be gone.
  ~SegmentStore() override;

  absl::StatusOr<uint64_t> Append(const ContainerId& id, const Batch& batch) override;
  absl::StatusOr<uint64_t> AcknowledgedOffset(const ContainerId& id) override;
  absl::StatusOr<LogStats> Stats(const ContainerId& id) override;
  absl::StatusOr<std::shared_ptr<ReadableLog>> Open(const ContainerId& id) override;
  absl::Status Delete(const ContainerId& id) override;
  absl::StatusOr<uint64_t> Truncate(const ContainerId& id) override;
  absl::Status Describe(const ContainerId& id, const LogDescription& description) override;
  std::vector<DescribedLog> List(uint64_t* version = nullptr) const override;
  bool WaitForChange(uint64_t version, std::function<void()> wake) override;
  absl::StatusOr<OutletPosition> LoadOutlet(const ContainerId& id) override;
  absl::Status SaveOutlet(const ContainerId& id, const OutletPosition& position) override;

  // One round of what the thread does each second.
  void Maintain();
  // Waits until everything that can be is sealed; for tests and benchmarks.
  void AwaitSealed();

 private:
  // Opening a log reads from disk: those who want the same log wait for each other only.
  struct Slot {
    absl::Mutex mu;
    std::shared_ptr<ContainerLog> log ABSL_GUARDED_BY(mu);
  };

  SegmentStore(std::string root, const StoreLimits& limits, Counters& counters);
  absl::Status Prepare();
  absl::StatusOr<std::vector<StoredSegment>> ListStored() const;
  absl::StatusOr<std::shared_ptr<ContainerLog>> Find(const ContainerId& id, bool create);
  std::shared_ptr<Slot> SlotOf(const std::string& id);
  std::vector<std::pair<std::string, std::shared_ptr<ContainerLog>>> OpenLogs();
  void ForgetIdle();
  void KeepLimits();
  void StepSealing();
  void RemoveDeleted();
  void Run();

  const std::string containers_;
  const std::string deleting_;
  const StoreLimits limits_;
  Counters& counters_;
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, std::shared_ptr<Slot>> slots_ ABSL_GUARDED_BY(mu_);
  Catalogue catalogue_;
  // Logs that had segments to be sealed when the store was opened. Only the thread touches it.
  std::vector<ContainerId> unsealed_;
  int64_t seal_after_s_ = 0;  // likewise
  std::unique_ptr<Sealer> sealer_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool remove_deleted_ ABSL_GUARDED_BY(mu_) = true;
  uint64_t next_tombstone_ ABSL_GUARDED_BY(mu_) = 0;
  std::thread thread_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_SEGMENT_STORE_H_
