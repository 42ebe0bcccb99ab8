#ifndef SERVICES_BUILD_DOMAIN_PLAN_H_
#define SERVICES_BUILD_DOMAIN_PLAN_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/build/dockerfile/instruction.h"
#include "services/build/domain/build_request.h"
#include "services/build/ports/build_events.h"
#include "services/build/ports/image_config.h"

namespace slipway::build {

// A stage of a Dockerfile: a base and what is done to it, one step after the other.
struct Stage {
  int index = 0;
  std::string name;  // of "AS", lower case; empty: none
  Instruction from;
  std::string base;               // image, "scratch" or a stage's name; variables replaced
  std::optional<int> base_stage;  // where the base is one
  Platform platform;              // of --platform; empty: none
  bool is_given = false;          // an image that the request names takes its place
  std::vector<Instruction> instructions;
  std::vector<int> depends_on;  // stages, ascending
  uint32_t first_step = 0;      // number of FROM; 0: the stage is not needed

  bool needed() const { return first_step != 0; }
  std::string label() const { return name.empty() ? std::to_string(index) : name; }
};

// The graph of a build. Stages that the target does not need have no steps.
struct Plan {
  std::vector<Stage> stages;
  int target = 0;
  std::map<std::string, std::string> global_arguments;  // of ARG before the first FROM
  std::vector<PlannedStep> steps;
  std::vector<std::string> warnings;
  std::map<std::string, std::string> named_images;  // BuildRequest's

  // What takes the place of an image or a stage of that name; null: nothing.
  const std::string* FindNamedImage(const std::string& reference) const;
  // The stage that `--from` of COPY or of a mount names; none: it names ImageOf().
  std::optional<int> FindSource(const std::string& reference) const;
  std::string ImageOf(const std::string& reference) const;
  // By name or number; none: it is no stage of this file.
  std::optional<int> FindStage(const std::string& reference) const;
};

// The stage, image or context that `--from` of COPY and of RUN's mounts name; empty: none.
std::vector<std::string> FromReferences(const Instruction& instruction);

// InvalidArgument names the line. Pure.
absl::StatusOr<Plan> MakePlan(const Dockerfile& file, const BuildRequest& request,
                              const Platform& host);

// "amd64" and so on for this machine.
Platform HostPlatform();
// "linux/arm64/v8"; InvalidArgument.
absl::StatusOr<Platform> ParsePlatform(const std::string& text);
std::string PlatformName(const Platform& platform);

// Arguments that need no ARG default: TARGETPLATFORM and the like.
std::map<std::string, std::string> PlatformArguments(const Platform& target, const Platform& host);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOMAIN_PLAN_H_
