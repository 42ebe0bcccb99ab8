#ifndef BASE_RPC_CHANNEL_H_
#define BASE_RPC_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>

#include "absl/strings/string_view.h"

namespace slipway {

// A channel to another service: "unix:/path" or "/path" for a unix socket. It connects when first
// used and again, within 100 ms to 1 s, after the peer was restarted; calls made meanwhile fail as
// UNAVAILABLE unless the context says wait_for_ready. Thread-safe; share one per peer.
std::shared_ptr<grpc::Channel> NewChannel(absl::string_view address);

}  // namespace slipway

#endif  // BASE_RPC_CHANNEL_H_
