#ifndef RUNTIME_AGENT_STREAMS_LOG_SHIPPER_H_
#define RUNTIME_AGENT_STREAMS_LOG_SHIPPER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "runtime-agent/ports/log_sink.h"
#include "runtime-agent/ports/observer.h"
#include "runtime-agent/streams/output.h"

namespace slipway::agent {

// Moves every container's records from its spool to the log service, from the offset that the
// service knows after any interruption: first those that have little to ship, then the others in
// turns, of which at most kWindowBytes are unacknowledged, so that nobody waits long behind them. A
// service that is down costs nothing but the spools' space. Thread-safe.
class LogShipper {
 public:
  static constexpr uint64_t kBatchBytes = 512 << 10;
  static constexpr uint64_t kWindowBytes = 2 << 20;
  // What has less to ship does not wait for a turn.
  static constexpr uint64_t kLittleBytes = 64 << 10;
  // Less than a batch is shipped at once when nothing was for so long: a message costs as much as
  // shipping hundreds of KiB does.
  static constexpr absl::Duration kPace = absl::Milliseconds(4);
  // How far an attached reader may be behind before its bytes are given up.
  static constexpr uint64_t kReaderPatienceBytes = 16 << 20;
  // How long a container may run and print nothing before the log service hears of it.
  static constexpr absl::Duration kSilentFor = absl::Seconds(1);

  struct Options {
    LogSink* sink = nullptr;
    Observer* observer = nullptr;
    // The supervisor may reuse the space before the offset.
    std::function<void(const std::string& id, uint64_t offset)> release;
  };
  // `sink` and `observer` outlive the shipper.
  explicit LogShipper(Options options);
  ~LogShipper();

  // Follows an output from now on, and again when a new run begins. No `container`: records are
  // dropped (log driver "none"). `fresh`: the service cannot know anything of it.
  void Follow(std::shared_ptr<Output> output, std::shared_ptr<const LoggedContainer> container,
              bool fresh);
  void Forget(const std::string& id);
  // Some spool grew or some run ended.
  void Wake();
  // Waits until what is committed now is stored by the log service, and it knows the container
  // while that runs. Of what never printed anything the service need not know, unless `announce`.
  // DeadlineExceeded says how much is missing: at the deadline, or earlier when nothing was stored
  // for two seconds.
  absl::Status Flush(const std::string& id, absl::Time deadline, bool announce = true);
  // The same for every container.
  absl::Status FlushAll(absl::Time deadline);

  // Bytes that are committed and not acknowledged, of all containers.
  uint64_t lag_bytes() const;

 private:
  struct Feed {
    std::shared_ptr<Output> output;
    std::shared_ptr<const LoggedContainer> container;  // null: not shipped
    // Only the thread touches these.
    uint64_t position = 0;
    bool position_known = false;
    bool held_at_end = false;  // an end-of-stream record that may or may not be the last is next
    uint64_t told_on = 0;      // the stream on which the service was told of the container
    // Likewise, and in which run, that it goes on: who follows it waits. Zero: behind an end.
    uint64_t announced_on = 0;
    uint64_t announced_run = 0;
    std::atomic<bool> wanted{false};  // somebody asks for it, though it may have printed nothing
    bool silent = false;              // only the thread: a run ended that printed nothing
    absl::Time shipped_at = absl::InfinitePast();  // likewise
    absl::Time since;                              // under mutex_: of the run
    uint64_t released = 0;
    uint64_t acknowledged = 0;  // under mutex_
    bool known = false;         // likewise: the service has answered once
    // Under mutex_: the run, and the batches that were written and answered. That the run goes on
    // is said by the batch `told_by`; zero: by none yet.
    uint64_t run = 0;
    uint64_t written = 0;
    uint64_t answered = 0;
    uint64_t told_by = 0;
    // Under mutex_: with that much committed, all but an end-of-stream record lay before position.
    uint64_t held_committed = 0;
    uint64_t held_position = 0;
  };
  using FeedPtr = std::shared_ptr<Feed>;

  void Run();
  // These say whether something was written.
  bool Turns(const std::vector<FeedPtr>& feeds);
  bool Turn(Feed& feed);
  // Whether it is to wait a little for more.
  bool Paced(const Feed& feed, uint64_t committed);
  uint64_t Unacknowledged(const std::vector<FeedPtr>& feeds) const;
  bool Locate(Feed& feed);
  bool IsSilent(Feed& feed);
  ShippedBatch ReadBatch(Feed& feed);
  void AddRecord(Feed& feed, struct SpoolRecord record, ShippedBatch& batch);
  void Settle(Feed& feed);
  void DropBrokenStream();
  bool EnsureStream();
  void OnAnswer(const std::string& id, uint64_t offset);
  void OnAcknowledged(const std::string& id, uint64_t offset);
  static bool IsTold(const Feed& feed);
  uint64_t RunOf(const Feed& feed) const;
  void CountWrite(Feed& feed, uint64_t run);
  bool IsAcknowledged(const Feed& feed, uint64_t offset) const;

  const Options options_;
  std::unique_ptr<LogStream> stream_;  // only the thread
  uint64_t streams_ = 0;               // likewise: how many were opened
  absl::Duration backoff_ = absl::Milliseconds(50);
  std::string last_turn_;  // likewise: whose turn it was

  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  absl::CondVar acknowledged_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool wake_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time retry_at_ = absl::InfinitePast();
  absl::Time look_at_ = absl::InfiniteFuture();  // only the thread: a silent one is announced
  LogStream* cancel_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::map<std::string, FeedPtr> feeds_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_STREAMS_LOG_SHIPPER_H_
