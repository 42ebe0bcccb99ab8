#include "services/container/rpc/list_encoder.h"

#include "services/container/rpc/wire_codec.h"

namespace slipway::container {
namespace {

constexpr size_t kSlack = 256;

// The list message with this one container: lists of the same field concatenate (protobuf encoding
// guide, "Last One Wins" and repeated fields).
grpc::Slice EncodeOne(const Container& container) {
  v1::ListContainersResponse one;
  PutContainer(container, false, one.add_containers());
  return grpc::Slice(one.SerializeAsString());
}

}  // namespace

grpc::ByteBuffer ListEncoder::Encode(const std::vector<ContainerPtr>& containers, size_t total) {
  std::vector<grpc::Slice> slices;
  slices.reserve(containers.size());
  absl::MutexLock lock(&mu_);
  if (encoded_.size() > total + kSlack) encoded_.clear();
  for (const ContainerPtr& container : containers) {
    Encoded& encoded = encoded_[container->id()];
    if (encoded.container != container) {
      encoded.bytes = EncodeOne(*container);
      encoded.container = container;
    }
    slices.push_back(encoded.bytes);
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace slipway::container
