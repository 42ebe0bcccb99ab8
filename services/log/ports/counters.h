#ifndef SERVICES_LOG_PORTS_COUNTERS_H_
#define SERVICES_LOG_PORTS_COUNTERS_H_

#include <atomic>
#include <cstdint>

namespace slipway::log {

// What the service counts of itself; /metrics shows each as slipway_log_<name>. Thread-safe.
struct Counters {
  std::atomic<uint64_t> appended_bytes{0};
  std::atomic<uint64_t> appended_records{0};
  std::atomic<uint64_t> appended_batches{0};
  std::atomic<uint64_t> duplicate_batches{0};
  std::atomic<uint64_t> gap_bytes{0};
  std::atomic<uint64_t> read_bytes{0};
  std::atomic<uint64_t> damaged_bytes{0};
  std::atomic<uint64_t> retention_deleted_bytes{0};
  std::atomic<uint64_t> append_errors{0};
  std::atomic<uint64_t> sync_errors{0};
  std::atomic<uint64_t> dropped_bytes{0};
  std::atomic<uint64_t> outlet_sent_bytes{0};
  std::atomic<uint64_t> outlet_dropped_bytes{0};
  std::atomic<uint64_t> outlet_failures{0};
  // Levels.
  std::atomic<int64_t> stored_bytes{0};
  std::atomic<int64_t> segments{0};
  std::atomic<int64_t> containers{0};
  std::atomic<int64_t> open_logs{0};
  std::atomic<int64_t> outlets{0};
  std::atomic<int64_t> append_streams{0};
  std::atomic<int64_t> readers{0};
  std::atomic<int64_t> waiting_followers{0};
  // What readers have made and nobody has taken yet.
  std::atomic<int64_t> pending_bytes{0};
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_PORTS_COUNTERS_H_
