#ifndef GATEWAY_BUILDKIT_DOOR_H_
#define GATEWAY_BUILDKIT_DOOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"
#include "gateway/buildkit/rendezvous.h"
#include "gateway/buildkit/sessions.h"

namespace slipway::gateway {

// Builds that are under way and can be ended by another request. Thread-safe.
class RunningBuilds {
 public:
  // False for an id that is taken.
  bool Add(const std::string& id, std::function<void()> cancel) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return cancels_.emplace(id, std::move(cancel)).second;
  }
  void Remove(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    cancels_.erase(id);
  }
  // False where there is none of that id.
  bool Cancel(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    const auto found = cancels_.find(id);
    if (found == cancels_.end()) return false;
    found->second();
    return true;
  }

 private:
  absl::Mutex mu_;
  std::map<std::string, std::function<void()>> cancels_ ABSL_GUARDED_BY(mu_);
};

// An archive that came as a request of its own, in a file that the build service has been given.
struct UploadedContext {
  absl::Status status;
  std::string token;
  uint64_t bytes = 0;
};

// What connections that came by HTTP need to become BuildKit's. Thread-safe once it is set up.
struct BuildKitDoor {
  BuildSessions sessions;
  RunningBuilds builds;
  Rendezvous<UploadedContext> uploads;  // by the id of the build that each is for
  // Serves gRPC on a connected socket.
  std::function<void(UniqueFd)> serve;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_DOOR_H_
