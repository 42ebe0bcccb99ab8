#ifndef GATEWAY_BUILDKIT_BUILD_PROGRESS_H_
#define GATEWAY_BUILDKIT_BUILD_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "buildkit/control.pb.h"
#include "slipway/build/v1/build.pb.h"

namespace slipway::gateway {

// How a build gets on, in BuildKit's words: vertices of a graph, with times, output and what each
// waits for. Used by one thread.
class BuildProgress {
 public:
  using Send = std::function<void(moby::buildkit::v1::StatusResponse)>;

  // `send` outlives it.
  explicit BuildProgress(Send send);

  // A part of the work that is no step of the Dockerfile; returns its number.
  uint32_t Begin(const std::string& name);
  // So many bytes of it are done.
  void Count(uint32_t part, const std::string& what, uint64_t bytes);
  void End(uint32_t part, const absl::Status& status);

  void Take(const slipway::build::v1::BuildImageResponse& response);
  // Everything that runs ended with it.
  void Fail(const absl::Status& status);

 private:
  struct Vertex {
    moby::buildkit::v1::Vertex message;
    bool shown = true;
    std::vector<uint32_t> waits_for;  // steps that are shown
  };

  std::string Digest(uint32_t number) const;
  void Show(const Vertex& vertex);
  void TakePlan(const slipway::build::v1::BuildPlan& plan);
  void TakeStep(const slipway::build::v1::BuildStep& step);
  void TakeOutput(const slipway::build::v1::BuildOutput& output);

  const Send send_;
  const std::string name_;     // of the build, 32 hexadecimal digits
  std::vector<Vertex> steps_;  // by number, from 1
  std::vector<Vertex> parts_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_BUILD_PROGRESS_H_
