#include "base/rpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace slipway {

std::shared_ptr<grpc::Channel> NewChannel(absl::string_view address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetMaxReceiveMessageSize(16 << 20);
  // A connection of its own for each channel: what is written to a shared one at the same time
  // waits for a thread of gRPC's (0.1 ms and more).
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const std::string target =
      absl::StartsWith(address, "/") ? absl::StrCat("unix:", address) : std::string(address);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace slipway
