#ifndef GATEWAY_TESTING_FAKE_NETWORKS_H_
#define GATEWAY_TESTING_FAKE_NETWORKS_H_

#include <grpcpp/impl/service_type.h>

#include <memory>

namespace slipway::gateway {

// Networks in memory: "bridge", "host" and "none", and what is created. Container "busy" is in
// every network that somebody connects it to. Thread-safe.
std::unique_ptr<grpc::Service> NewFakeNetworks();

}  // namespace slipway::gateway

#endif  // GATEWAY_TESTING_FAKE_NETWORKS_H_
