#ifndef SERVICES_BUILD_DOMAIN_BUILD_H_
#define SERVICES_BUILD_DOMAIN_BUILD_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/build/domain/stage_run.h"
#include "services/build/files/tar_reader.h"

namespace slipway::build {

struct BuildOutcome {
  std::string image_id;
  std::vector<std::string> tags;
  std::vector<std::string> unused_build_args;
};

// Where a build's context comes from.
struct ContextSource {
  ByteSource next;
  // The file that has the same bytes, or null; waits until that is known. Unset: there is none.
  std::function<std::shared_ptr<const UniqueFd>()> file = nullptr;
};

// A whole build: the context is read, the plan told, stages that do not need each other are made at
// the same time, and the target's image gets its names. Blocks. The error is that of the first step
// that failed; the others are cancelled.
absl::StatusOr<BuildOutcome> RunBuild(const BuildParts& parts, const ContextSource& context);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOMAIN_BUILD_H_
