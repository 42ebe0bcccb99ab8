#ifndef GATEWAY_BUILDKIT_SESSIONS_H_
#define GATEWAY_BUILDKIT_SESSIONS_H_

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"
#include "gateway/buildkit/rendezvous.h"
#include "gateway/http/coroutine.h"

namespace slipway::gateway {

// What a client offers to its builds: gRPC services on its machine, over a connection that it made.
struct BuildSession {
  std::string id;
  std::set<std::string, std::less<>> methods;  // "/moby.filesync.v1.FileSync/DiffCopy"
  std::shared_ptr<grpc::Channel> channel;

  bool Offers(absl::string_view method) const { return methods.contains(method); }
};
using BuildSessionPtr = std::shared_ptr<const BuildSession>;

// The sessions that are connected, by their ids. Thread-safe.
class BuildSessions {
 public:
  // Talks HTTP/2 as a client over the connected `socket`. AlreadyExists for an id that is in use.
  absl::StatusOr<BuildSessionPtr> Open(const std::string& id,
                                       std::set<std::string, std::less<>> methods, UniqueFd socket);
  bool IsOpen(const std::string& id) { return open_.Has(id); }
  // Its connection is over.
  void Close(const BuildSessionPtr& session) { open_.Remove(session->id); }

  // Waits for it a few seconds: clients connect a session and ask for its build at once. NotFound.
  Awaitable<absl::StatusOr<BuildSessionPtr>> Find(std::string id);

 private:
  Rendezvous<BuildSessionPtr> open_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_SESSIONS_H_
