#ifndef RUNTIME_AGENT_PORTS_LOG_SINK_H_
#define RUNTIME_AGENT_PORTS_LOG_SINK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace slipway::agent {

struct ShippedRecord {
  enum class Kind { kChunk, kGap, kEnd };
  Kind kind = Kind::kChunk;
  int64_t time_unix_ns = 0;
  uint8_t stream = 1;  // 1 stdout, 2 stderr
  std::string data;
  uint64_t dropped_bytes = 0;
};

// What a log is of: readers choose by it, and it says where else records go.
struct LoggedContainer {
  std::string name;
  std::string image;
  std::string image_id;
  std::vector<std::pair<std::string, std::string>> labels;
  std::vector<std::string> env;  // that the log options name
  std::vector<std::string> argv;
  bool tty = false;
  std::string driver;
  std::vector<std::pair<std::string, std::string>> options;
  int64_t created_unix_ns = 0;
};

// Records that lie at [begin, end) of a container's spool.
struct ShippedBatch {
  std::string container_id;
  // Null where the service was told before.
  std::shared_ptr<const LoggedContainer> container;
  uint64_t begin_offset = 0;
  uint64_t end_offset = 0;
  std::vector<ShippedRecord> records;
};

// One open stream to the log service.
class LogStream {
 public:
  virtual ~LogStream() = default;
  // Blocks while the service takes nothing. False when the stream broke. One caller at a time.
  virtual bool Write(ShippedBatch batch) = 0;
  // Breaks the stream: a blocked Write returns. Any thread.
  virtual void Cancel() = 0;
  virtual bool broken() const = 0;
};

// Where recorded output goes: the log service. Implementations are thread-safe.
class LogSink {
 public:
  virtual ~LogSink() = default;

  // `on_acknowledged` and, once, `on_broken` come from a thread of the stream.
  virtual absl::StatusOr<std::unique_ptr<LogStream>> OpenStream(
      std::function<void(const std::string& container_id, uint64_t offset)> on_acknowledged,
      std::function<void()> on_broken) = 0;
  // 0 for a container that it knows nothing of.
  virtual absl::StatusOr<uint64_t> Position(const std::string& container_id) = 0;
  // OK when there was none.
  virtual absl::Status Delete(const std::string& container_id) = 0;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_PORTS_LOG_SINK_H_
