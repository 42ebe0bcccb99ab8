#ifndef IMAGE_SERVICE_SERVER_H_
#define IMAGE_SERVICE_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/service/service.h"
#include "image-service/clients/http_client.h"
#include "image-service/clients/registry_client.h"
#include "image-service/store/file_content_store.h"

namespace slipway::image {

struct ServerOptions {
  ServiceOptions service;
  HttpOptions http;
  RegistryOptions registry;
  int max_layers_at_once = 6;  // downloads of the whole service, and uploads
  ContentLimits content;
};

// The running service: the only place that names concrete types and wires them. Not thread-safe.
class Server {
 public:
  // Opens the store, removes what earlier runs left half done, listens.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  // Ends streams, gives calls a moment, waits for jobs.
  ~Server();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_SERVER_H_
