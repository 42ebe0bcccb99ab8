#ifndef GATEWAY_BUILDKIT_BUILD_ATTRIBUTES_H_
#define GATEWAY_BUILDKIT_BUILD_ATTRIBUTES_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "slipway/build/v1/build.pb.h"

namespace slipway::gateway {

// A build as a client of BuildKit asks for it.
struct BuildKitBuild {
  slipway::build::v1::BuildOptions options;  // what the attributes tell of it
  std::string session;                       // where files, secrets and credentials are
  // URL of the context; empty: files of the session.
  std::string context;
  std::string context_directory = "context";
  std::string dockerfile_directory = "dockerfile";
  bool dockerfile_of_session = true;  // else it is in the context
  // A file with the context that the build service has been given already.
  slipway::build::v1::ContextFile uploaded;
  // What becomes of the result: "" (nothing), "moby" (an image here), "local" or "tar" (to the
  // client).
  std::string output;
};

// Attributes of the frontend dockerfile.v0 (moby/buildkit frontend/dockerfile). Those that say
// nothing here are passed over. Unimplemented names what is known and not offered. Pure.
absl::StatusOr<BuildKitBuild> ReadBuildAttributes(
    const std::map<std::string, std::string>& attributes);

// Exporter and its attributes. Pure.
absl::Status ReadExporter(const std::string& type,
                          const std::map<std::string, std::string>& attributes,
                          BuildKitBuild& build);

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_BUILD_ATTRIBUTES_H_
