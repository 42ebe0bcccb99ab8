#ifndef SERVICES_BUILD_DOMAIN_RUN_MOUNTS_H_
#define SERVICES_BUILD_DOMAIN_RUN_MOUNTS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/build/dockerfile/instruction.h"
#include "services/build/domain/stage_run.h"
#include "services/build/files/copy_layer.h"
#include "services/build/ports/containers.h"

namespace slipway::build {

// One --mount of a RUN.
struct MountSpec {
  enum class Type { kBind, kCache, kTmpfs, kSecret, kSsh } type = Type::kBind;
  std::string id;
  std::string target;
  std::string source;
  std::string from;
  std::string env;  // of a secret: the variable that gets it
  bool read_only = false;
  std::optional<bool> required;  // none: not said
  bool locked = false;           // of a cache
  std::optional<uint32_t> mode;
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t size_bytes = 0;
};

// InvalidArgument names what is wrong; Unimplemented what is known and not offered. Pure.
absl::StatusOr<std::vector<MountSpec>> ParseMounts(const Instruction& instruction);

// The mounts of one RUN: what they are made of, and then the mounts themselves, until the
// destructor. Move-only.
class RunMounts {
 public:
  // What mounts need of the stage that they are for.
  class Stage {
   public:
    virtual ~Stage() = default;
    virtual const BuildParts& parts() const = 0;
    virtual absl::StatusOr<std::string> Expand(absl::string_view text) const = 0;
    virtual const std::string& working_directory() const = 0;
    // The files of `source` in the context, or in a stage or image.
    virtual absl::StatusOr<std::shared_ptr<const FileSet>> Files(const std::string& from,
                                                                 const std::string& source) = 0;
  };

  static absl::StatusOr<RunMounts> Resolve(std::vector<MountSpec> specs, Stage& stage);
  RunMounts(RunMounts&&) noexcept;
  ~RunMounts();

  // Of what is mounted and does not change by itself: neither caches nor secrets count.
  const std::string& digest() const;
  // Makes what has to be there and adds mounts and variables to `spec`.
  absl::Status Fill(RunSpec& spec);

 private:
  struct Impl;
  explicit RunMounts(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOMAIN_RUN_MOUNTS_H_
