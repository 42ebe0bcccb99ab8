#ifndef RUNTIME_AGENT_CLIENTS_IMAGE_CLIENT_H_
#define RUNTIME_AGENT_CLIENTS_IMAGE_CLIENT_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "runtime-agent/ports/layer_source.h"

namespace slipway::agent {

// Layers by slipway.image.v1.ImageService on the same host. Thread-safe.
class ImageClient : public LayerSource {
 public:
  explicit ImageClient(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}
  absl::StatusOr<std::string> LayerPath(const std::string& diff_id) override;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_CLIENTS_IMAGE_CLIENT_H_
