#include "base/rpc/request_id.h"

#include <algorithm>

#include "absl/random/random.h"
#include "absl/strings/str_format.h"

namespace slipway {

std::string NewRequestId() {
  thread_local absl::BitGen generator;
  return absl::StrFormat("%016x", absl::Uniform<uint64_t>(generator));
}

std::string RequestIdOf(const grpc::ServerContextBase& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(kRequestIdKey);
  if (found == metadata.end()) return "";
  const std::string id(found->second.data(), std::min<size_t>(found->second.size(), 128));
  const bool printable =
      std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  return printable ? id : "";
}

void SetRequestId(grpc::ClientContext& context, absl::string_view request_id) {
  if (!request_id.empty()) context.AddMetadata(kRequestIdKey, std::string(request_id));
}

}  // namespace slipway
