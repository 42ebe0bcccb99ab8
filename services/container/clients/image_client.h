#ifndef SERVICES_CONTAINER_CLIENTS_IMAGE_CLIENT_H_
#define SERVICES_CONTAINER_CLIENTS_IMAGE_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/container/ports/image_port.h"
#include "slipway/image/v1/image.grpc.pb.h"

namespace slipway::container {

// The image service behind a socket. Waits up to 5 s for a connection. Thread-safe.
class ImageClient : public ImagePort {
 public:
  explicit ImageClient(absl::string_view address);

  absl::StatusOr<Image> Acquire(const std::string& reference, const std::string& owner) override;
  std::function<absl::StatusOr<Image>()> BeginAcquire(const std::string& reference,
                                                      const std::string& owner) override;
  absl::Status Release(const std::string& owner) override;
  std::function<absl::Status()> BeginRelease(const std::string& owner) override;
  absl::StatusOr<std::vector<std::string>> ListOwners() override;
  absl::StatusOr<int64_t> SizeOf(const std::string& image_id) override;
  absl::StatusOr<std::string> Resolve(const std::string& reference) override;
  absl::StatusOr<std::string> Commit(
      const NewImage& image, const std::function<absl::Status(const TarSink&)>& produce) override;

 private:
  absl::Status WaitForConnection();
  template <typename Async, typename Request, typename Response>
  absl::StatusOr<Response> Call(void (Async::*method)(grpc::ClientContext*, const Request*,
                                                      Response*, std::function<void(grpc::Status)>),
                                const Request& request);

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<image::v1::ImageService::Stub> stub_;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_CLIENTS_IMAGE_CLIENT_H_
