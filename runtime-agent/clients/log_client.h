#ifndef RUNTIME_AGENT_CLIENTS_LOG_CLIENT_H_
#define RUNTIME_AGENT_CLIENTS_LOG_CLIENT_H_

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "runtime-agent/ports/log_sink.h"

namespace slipway::agent {

// Records to slipway.log.v1.LogService. Thread-safe.
class LogClient : public LogSink {
 public:
  LogClient(std::shared_ptr<grpc::Channel> channel, std::function<std::string()> host_id)
      : channel_(std::move(channel)), host_id_(std::move(host_id)) {}

  absl::StatusOr<std::unique_ptr<LogStream>> OpenStream(
      std::function<void(const std::string& container_id, uint64_t offset)> on_acknowledged,
      std::function<void()> on_broken) override;
  absl::StatusOr<uint64_t> Position(const std::string& container_id) override;
  absl::Status Delete(const std::string& container_id) override;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::function<std::string()> host_id_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_CLIENTS_LOG_CLIENT_H_
