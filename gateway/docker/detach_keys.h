#ifndef GATEWAY_DOCKER_DETACH_KEYS_H_
#define GATEWAY_DOCKER_DETACH_KEYS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::gateway {

// "ctrl-p,ctrl-q" and the like as the bytes that a terminal sends. Docker's default where it is
// empty. InvalidArgument names the text. Pure.
absl::StatusOr<std::string> ParseDetachKeys(absl::string_view text);

// Looks for the keys in a client's input. What may be their beginning is held back until the next
// byte tells. Not thread-safe.
class DetachScanner {
 public:
  // No keys: nothing is ever found.
  explicit DetachScanner(std::string keys) : keys_(std::move(keys)) {}

  // Replaces `data` by what is to be passed on. True when the keys are complete: what follows them
  // is dropped.
  bool Scan(std::string& data);

 private:
  const std::string keys_;
  size_t matched_ = 0;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_DETACH_KEYS_H_
