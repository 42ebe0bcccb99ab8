#ifndef GATEWAY_BUILDKIT_CONTROL_H_
#define GATEWAY_BUILDKIT_CONTROL_H_

#include <memory>
#include <vector>

#include "gateway/buildkit/sessions.h"
#include "gateway/clients/backends.h"
#include "gateway/http/io_threads.h"

namespace grpc {
class Service;
}

namespace slipway::gateway {

// BuildKit's API for clients: builds of Dockerfiles with the session's files. Thread-safe; outlives
// the server that its services are registered with.
class BuildKitControl {
 public:
  // All outlive it.
  BuildKitControl(Backends& backends, BuildSessions& sessions, IoThreads& threads);
  ~BuildKitControl();

  std::vector<grpc::Service*> services();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_CONTROL_H_
