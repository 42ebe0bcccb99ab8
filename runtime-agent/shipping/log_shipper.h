#ifndef RUNTIME_AGENT_SHIPPING_LOG_SHIPPER_H_
#define RUNTIME_AGENT_SHIPPING_LOG_SHIPPER_H_

#include <grpcpp/channel.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/spool/reader.h"
#include "slipway/log/v1/log.grpc.pb.h"

namespace slipway::agent {

// Follows the spools of all containers and ships their records to the log service, each exactly
// once: what is acknowledged is never sent again, what is not is sent again after a reconnection
// and recognised there by its offset. A log service that is away costs nothing but spool space.
// Memory is bounded: at most kMaxInFlightBytes are sent and not acknowledged, and containers take
// turns. Thread-safe; a thread of its own does the work.
class LogShipper {
 public:
  struct Spool {
    std::string container_id;
    UniqueFd fd;  // of the spool file, for reading
    // The committed offset now. Called from the shipper's thread; must not block.
    std::function<uint64_t()> committed;
    // Records before this offset need not be kept. Called from the shipper's threads; must not call
    // back.
    std::function<void(uint64_t acked)> on_acked;
  };

  LogShipper(std::shared_ptr<grpc::Channel> log_channel, std::string host_id,
             prometheus::Registry& registry);
  ~LogShipper();
  LogShipper(const LogShipper&) = delete;
  LogShipper& operator=(const LogShipper&) = delete;

  // Begins where the log service says (GetLogPosition). Replaces an earlier spool of the same
  // container.
  void Add(Spool spool);
  // Stops; what is not shipped yet stays in the spool.
  void Remove(const std::string& container_id);

  // The container's run ended and `committed` is the offset behind its last record (an
  // end-of-stream record): a LogEnd goes with that record. Idempotent.
  void EndOfRun(const std::string& container_id, uint64_t committed);

  // Some spool grew. Cheap, never blocks.
  void Poke();

  // Returns when everything before `committed` is acknowledged; DeadlineExceeded names how much is
  // missing, NotFound a container that is not followed. End-of-stream records that wait for
  // EndOfRun do not count.
  absl::Status Flush(const std::string& container_id, uint64_t committed, absl::Time deadline);

  // DeleteLog in the background, repeated until it worked.
  void Delete(const std::string& container_id);

  static constexpr uint64_t kMaxInFlightBytes = 8 << 20;
  static constexpr uint64_t kMaxBatchBytes = 1 << 20;
  static constexpr int kMaxBatchRecords = 1024;

 private:
  using Stream = grpc::ClientReaderWriter<log::v1::AppendLogRequest, log::v1::AppendLogResponse>;

  // One container. Offsets are guarded by mu_; reader and held are the loop's own.
  struct Tail {
    Spool spool;
    bool positioned = false;
    bool removed = false;
    uint64_t sent = 0;
    uint64_t acked = 0;
    uint64_t idle_at = 0;  // everything before is sent but for end-of-stream records that wait
    uint64_t end_of_run = 0;
    std::unique_ptr<SpoolReader> reader;
  };
  using TailPtr = std::shared_ptr<Tail>;

  // A connection to the log service, with a thread that reads acknowledgments.
  struct Connection {
    grpc::ClientContext context;
    std::unique_ptr<Stream> stream;
    std::thread reader;
  };

  void Loop();
  bool Connect();
  void Disconnect();
  void ReadAcks(Stream* stream);
  bool PositionAll();
  bool DeletePending();
  bool ShipAll();
  enum class Shipped { kNothing, kSome, kBroken };
  Shipped ShipBatch(Tail& tail);
  absl::Status FillBatch(Tail& tail, uint64_t committed, log::v1::AppendLogRequest& batch,
                         bool& at_end);
  std::vector<TailPtr> Tails();
  bool DeleteOne(const std::string& container_id);

  const std::unique_ptr<log::v1::LogService::Stub> stub_;
  const std::string host_id_;
  prometheus::Counter& shipped_bytes_;
  prometheus::Counter& reconnects_;
  prometheus::Gauge& lag_bytes_;

  absl::Mutex mu_;
  std::map<std::string, TailPtr> tails_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> deletions_ ABSL_GUARDED_BY(mu_);
  uint64_t in_flight_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool poked_ ABSL_GUARDED_BY(mu_) = false;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::unique_ptr<Connection> connection_;  // the loop's own, but for TryCancel under mu_
  std::thread loop_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SHIPPING_LOG_SHIPPER_H_
