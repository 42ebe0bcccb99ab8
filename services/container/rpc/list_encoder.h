#ifndef SERVICES_CONTAINER_RPC_LIST_ENCODER_H_
#define SERVICES_CONTAINER_RPC_LIST_ENCODER_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "services/container/model/container.h"

namespace slipway::container {

// A ListContainersResponse without encoding what has not changed: the bytes of each container are
// kept beside its newest snapshot, and a list is these bytes in order. Thread-safe.
class ListEncoder {
 public:
  // `total`: how many containers there are, to drop the bytes of those that are gone.
  grpc::ByteBuffer Encode(const std::vector<ContainerPtr>& containers, size_t total)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Encoded {
    ContainerPtr container;
    grpc::Slice bytes;
  };
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, Encoded> encoded_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_RPC_LIST_ENCODER_H_
