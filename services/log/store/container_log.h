#ifndef SERVICES_LOG_STORE_CONTAINER_LOG_H_
#define SERVICES_LOG_STORE_CONTAINER_LOG_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/log/ports/counters.h"
#include "services/log/ports/log_store.h"
#include "services/log/store/block_builder.h"
#include "services/log/store/segment_file.h"

namespace slipway::log {

struct StoreLimits {
  uint64_t segment_bytes = 16 << 20;
  uint64_t container_bytes = uint64_t{2} << 30;
  uint64_t total_bytes = uint64_t{20} << 30;
  int64_t age_ns = 0;  // zero: kept however old
  // Sealed when idle, whatever its size, if it is larger than this.
  uint64_t roll_bytes = 256 << 10;
};

// The segments of one container: appends at the end of the last one, readers anywhere. Whoever
// appends waits only for others who append to the same log; readers wait for nobody's disk.
// Thread-safe.
class ContainerLog : public ReadableLog, public std::enable_shared_from_this<ContainerLog> {
 public:
  // Makes the directory when `create` and it is missing; NotFound otherwise. `counters` outlives
  // the log.
  static absl::StatusOr<std::shared_ptr<ContainerLog>> Open(std::string directory,
                                                            const StoreLimits& limits, bool create,
                                                            Counters& counters);
  ~ContainerLog() override;

  // See LogStore::Append. Aborted when the log was deleted meanwhile.
  absl::StatusOr<uint64_t> Append(const Batch& batch);
  uint64_t AcknowledgedOffset() const;
  LogStats Stats() const;

  LogState State() const override;
  std::vector<SegmentSummary> Segments() const override;
  absl::StatusOr<std::vector<BlockSummary>> Blocks(uint64_t segment) const override;
  std::unique_ptr<RecordCursor> NewCursor(const Position& from,
                                          std::shared_ptr<const TextProbe> probe) const override;
  bool WaitBeyond(const Position& seen, int64_t deadline_unix_ns,
                  std::function<void()> wake) override;

  // Makes what was appended durable against a power cut.
  absl::Status Sync();
  // Wakes the waiters whose deadline has passed.
  void WakeExpired(int64_t now_unix_ns);
  // Ends appends and readers. The files are the caller's to remove.
  void MarkDeleted();
  // Deletes a segment unless records are still appended to it.
  void DropSegment(uint64_t segment);
  // Deletes what is stored; appending goes on in a new segment. How many bytes that gave back.
  absl::StatusOr<uint64_t> Truncate();
  // Makes the last segment one of those that can be sealed, if it is larger than `least_bytes`.
  absl::Status Roll(uint64_t least_bytes);

  // A segment that nobody appends to and that is not sealed yet.
  std::optional<uint64_t> NextToSeal() const;
  const std::string& directory() const { return directory_; }
  // Its sealed form, of so many bytes, is complete: from now on that one counts.
  void CommitSealed(uint64_t segment, uint64_t sealed_bytes);

  // Most bytes kept of this log, from now on.
  void SetLimit(uint64_t bytes) { limit_ = bytes; }

  // When something was last appended or read, in seconds of a steady clock.
  int64_t last_use_s() const;
  // The container is not running, as far as this is known.
  bool Ended() const;

  // For cursors: a segment's file and how far it may be read.
  struct Extent {
    std::shared_ptr<SegmentFile> file;  // null: there is no such segment any more
    uint64_t segment = 0;
    uint64_t end = 0;
    bool last = false;
    // How many bytes containers wrote before the next segment, those in gaps included; zero: there
    // is none yet.
    uint64_t payload_end = 0;
  };
  // Of the first segment at or behind `segment`.
  absl::StatusOr<Extent> ExtentFrom(uint64_t segment) const;
  void CountDamage(uint64_t bytes) const { counters_.damaged_bytes += bytes; }

 private:
  struct Segment {
    SegmentHeader header;
    uint64_t size = 0;    // as it was written
    uint64_t stored = 0;  // in the file
    bool sealed = false;
    mutable std::weak_ptr<SegmentFile> file;  // open while somebody reads
  };
  struct Waiter {
    int64_t deadline_unix_ns;
    std::function<void()> wake;
  };
  struct Encoded;

  ContainerLog(std::string directory, const StoreLimits& limits, Counters& counters);
  absl::Status Load() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status LoadLast(uint64_t first_offset) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status LoadBehindSealed() ABSL_NO_THREAD_SAFETY_ANALYSIS;

  absl::Status OpenForAppend(uint64_t batch_bytes, uint64_t begin_offset)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  absl::Status StartSegment(uint64_t begin_offset) ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  absl::Status AddSegment(uint64_t begin_offset) ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  void SealLast() ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  static Encoded Encode(const Batch& batch, std::vector<Record> records, uint64_t gap);
  absl::Status Write(const Encoded& encoded) ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  void Publish(const Encoded& encoded) ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  void WriteIndexEntries() ABSL_EXCLUSIVE_LOCKS_REQUIRED(append_mu_);
  void TrimToLimit();
  // How large a segment may become.
  uint64_t SegmentBytes() const;
  void Touch() const;

  const std::string directory_;
  const StoreLimits limits_;
  std::atomic<uint64_t> limit_;
  Counters& counters_;

  // Held while bytes are written.
  absl::Mutex append_mu_ ABSL_ACQUIRED_BEFORE(mu_);
  std::shared_ptr<SegmentFile> append_file_ ABSL_GUARDED_BY(append_mu_);
  UniqueFd index_fd_ ABSL_GUARDED_BY(append_mu_);
  BlockBuilder builder_ ABSL_GUARDED_BY(append_mu_);
  size_t indexed_blocks_ ABSL_GUARDED_BY(append_mu_) = 0;
  uint64_t append_size_ ABSL_GUARDED_BY(append_mu_) = 0;

  // Never held across a system call.
  mutable absl::Mutex mu_;
  std::vector<Segment> segments_ ABSL_GUARDED_BY(mu_);
  std::vector<Block> blocks_ ABSL_GUARDED_BY(mu_);  // of the last segment
  Block open_block_ ABSL_GUARDED_BY(mu_);
  RunningState state_ ABSL_GUARDED_BY(mu_);
  // An agent said that a run goes on, and nothing of it came yet.
  bool resumed_ ABSL_GUARDED_BY(mu_) = false;
  bool deleted_ ABSL_GUARDED_BY(mu_) = false;
  bool dirty_ ABSL_GUARDED_BY(mu_) = false;
  bool directory_dirty_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::shared_ptr<SegmentFile>> unsynced_ ABSL_GUARDED_BY(mu_);
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mu_);
  mutable std::atomic<int64_t> last_use_s_{0};
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_CONTAINER_LOG_H_
