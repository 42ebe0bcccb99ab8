#ifndef RUNTIME_AGENT_STREAMS_OUTPUT_H_
#define RUNTIME_AGENT_STREAMS_OUTPUT_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/supervisor/client.h"

namespace slipway::agent {

// Ends of runs that are remembered for readers that are behind.
inline constexpr size_t kMaxRunEnds = 16;

// What one container wrote, over all its runs: a view of its spool file. Thread-safe; nothing here
// blocks. A spool that was removed from under a reader stays readable.
class Output {
 public:
  using SlotReader = std::function<absl::StatusOr<SlotStatus>(uint32_t slot, uint64_t incarnation)>;

  struct RunEnd {
    uint64_t run = 0;
    uint64_t offset = 0;
    int exit_code = 0;
  };

  struct Options {
    std::string id;
    UniqueFd file;
    SlotReader read_slot;
    uint64_t runs = 0;
    std::vector<uint64_t> run_ends;  // of the last runs, the latest last
    int last_exit_code = 0;
    uint64_t trimmed = 0;
    bool stored = false;
  };
  explicit Output(Options options);

  const std::string& id() const { return id_; }
  int fd() const { return file_.get(); }

  // The next run's records begin where the last one's ended.
  void BeginRun(uint32_t slot, uint64_t incarnation);
  // All of the run's output is committed and ends at `offset`.
  void EndRun(uint64_t offset, int exit_code);

  // Offset behind the last whole record.
  uint64_t Committed() const;
  bool running() const;
  // Of the current run, or of the last one.
  uint64_t runs() const;
  // When that run has ended and is remembered.
  std::optional<RunEnd> EndOf(uint64_t run) const;
  bool IsRunEnd(uint64_t offset) const;
  std::vector<uint64_t> RunEndOffsets() const;

  // A reader whose bytes are kept from being trimmed as long as it is not too far behind.
  class Reader {
   public:
    ~Reader();
    void Advance(uint64_t offset) { offset_.store(offset, std::memory_order_relaxed); }
    uint64_t offset() const { return offset_.load(std::memory_order_relaxed); }

   private:
    friend class Output;
    Reader(std::shared_ptr<Output> output, uint64_t offset)
        : output_(std::move(output)), offset_(offset) {}
    std::shared_ptr<Output> output_;
    std::atomic<uint64_t> offset_;
  };
  static std::unique_ptr<Reader> AddReader(std::shared_ptr<Output> output, uint64_t offset);

  // The least offset that is still needed of those before `acknowledged`, given that readers more
  // than `patience_bytes` behind the committed end are not waited for.
  uint64_t Needed(uint64_t acknowledged, uint64_t patience_bytes) const;

  // Gives the disk blocks before `offset` back. Calls come from one thread.
  absl::Status Trim(uint64_t offset);
  uint64_t trimmed() const { return trimmed_.load(std::memory_order_relaxed); }

  // Whether the log service may know of it.
  bool stored() const { return stored_.load(std::memory_order_relaxed); }
  void MarkStored() { stored_.store(true, std::memory_order_relaxed); }

 private:
  const std::string id_;
  const UniqueFd file_;
  const SlotReader read_slot_;
  std::atomic<uint64_t> trimmed_;
  std::atomic<bool> stored_;

  mutable absl::Mutex mutex_;
  uint64_t runs_ ABSL_GUARDED_BY(mutex_);
  std::vector<RunEnd> ends_ ABSL_GUARDED_BY(mutex_);
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  uint32_t slot_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t incarnation_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable uint64_t committed_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<const Reader*> readers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_STREAMS_OUTPUT_H_
