#ifndef GATEWAY_DOCKER_BUILD_MESSAGES_H_
#define GATEWAY_DOCKER_BUILD_MESSAGES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "slipway/build/v1/build.pb.h"

namespace slipway::gateway {

// What a build tells, as dockerd's stream of JSON messages has it. Stages are made at the same
// time, and that stream has one step after the other: what a later step tells is kept until those
// before it have ended. Not thread-safe.
class BuildMessages {
 public:
  // `quiet`: nothing but the id.
  explicit BuildMessages(bool quiet) : quiet_(quiet) {}

  // The messages to send now; "" for none.
  std::string Take(const slipway::build::v1::BuildImageResponse& response);
  // Of a build that failed: what the step that failed has told, and the error.
  std::string Fail(const absl::Status& status);

 private:
  struct Step {
    std::string name;
    bool announced = false;
    bool ended = false;
    std::string container;
    std::string kept;  // until it is this step's turn
  };

  void TakeStep(const slipway::build::v1::BuildStep& update, std::string& now);
  void TakeResult(const slipway::build::v1::BuildResult& result, std::string& now);
  void Put(uint32_t number, const std::string& message, std::string& now);
  // Goes on with the steps that follow one that has ended.
  void Advance(std::string& now);

  const bool quiet_;
  std::vector<Step> steps_;
  uint32_t current_ = 1;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_BUILD_MESSAGES_H_
