#ifndef SERVICES_BUILD_PORTS_CONTAINERS_H_
#define SERVICES_BUILD_PORTS_CONTAINERS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/build/ports/images.h"

namespace slipway::build {

struct RunMount {
  enum class Type { kVolume, kTmpfs, kFile } type = Type::kVolume;
  std::string source;  // a volume's name, a file's path on the host
  std::string target;
  bool read_only = false;
  bool remove_with_container = false;
  int64_t size_bytes = 0;
};

struct RunSpec {
  std::string image;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string user;               // empty: the image's
  std::string working_directory;  // empty: the image's
  std::string network;            // empty: the build's
  std::vector<RunMount> mounts;
};

struct ContainerCommit {
  std::string container;
  ImageConfig config;
  std::string author;
  std::string created_by;
  int64_t created_unix_ns = 0;
  int64_t latest_mtime_unix_s = 0;
};

// The container service, for one build: its limits and network are those of the build. Thread-safe.
// Calls end with Cancelled when the build does, but for RemoveSoon.
class Containers {
 public:
  virtual ~Containers() = default;
  // The container's id.
  virtual absl::StatusOr<std::string> Create(const RunSpec& spec) = 0;
  // Starts it and returns its exit code when all of its output was given to `output`.
  virtual absl::StatusOr<int> Run(
      const std::string& container,
      const std::function<void(bool is_stderr, absl::string_view data)>& output) = 0;
  // Unpacks a tar into a directory of a container, also of one that does not run.
  virtual absl::Status Unpack(const std::string& container, const std::string& directory,
                              const std::function<absl::Status(const TarSink&)>& produce) = 0;
  virtual absl::StatusOr<std::string> Commit(const ContainerCommit& commit) = 0;
  // Also its anonymous volumes; ends what runs. The build goes on meanwhile: it is done, or what
  // failed is logged, when this object is gone.
  virtual void RemoveSoon(const std::string& container) = 0;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_PORTS_CONTAINERS_H_
