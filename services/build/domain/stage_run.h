#ifndef SERVICES_BUILD_DOMAIN_STAGE_RUN_H_
#define SERVICES_BUILD_DOMAIN_STAGE_RUN_H_

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/build/domain/build_request.h"
#include "services/build/domain/plan.h"
#include "services/build/domain/step_cache.h"
#include "services/build/files/copy_layer.h"
#include "services/build/files/file_set.h"
#include "services/build/ports/build_events.h"
#include "services/build/ports/cancellation.h"
#include "services/build/ports/containers.h"
#include "services/build/ports/fetcher.h"
#include "services/build/ports/git.h"
#include "services/build/ports/images.h"
#include "services/build/ports/ssh_agents.h"

namespace slipway::build {

// An image on its way through a stage's steps.
struct StageImage {
  std::string id;  // empty: nothing yet, as behind "FROM scratch"
  std::string author;
  ImageConfig config;
  Platform platform;
  std::string base_id;  // what its stage began with; empty: nothing
};

// Cache volumes that a RUN has to itself while it runs (sharing=locked). Thread-safe.
class NamedLocks {
 public:
  void Lock(const std::string& name) {
    absl::MutexLock lock(&mu_);
    const auto free = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !held_.contains(name); };
    mu_.Await(absl::Condition(&free));
    held_.insert(name);
  }
  void Unlock(const std::string& name) {
    absl::MutexLock lock(&mu_);
    held_.erase(name);
  }

 private:
  absl::Mutex mu_;
  std::set<std::string> held_ ABSL_GUARDED_BY(mu_);
};

// What the stages of one build share. Everything outlives the build.
struct BuildParts {
  const BuildRequest& request;
  Images& images;
  Containers& containers;
  StepCache& cache;
  BuildEvents& events;
  Fetcher& fetcher;
  Git& git;
  SshAgents* ssh;  // null: the client has none
  NamedLocks& volume_locks;
  Cancellation& cancellation;
  std::string spool_directory;   // for content of contexts
  std::string secret_directory;  // for files that are mounted into RUN steps
  Platform host;
};

// Stages that are done, for those that wait for them; and which arguments were taken. Thread-safe.
class StageResults {
 public:
  StageResults(size_t stages, Cancellation& cancellation)
      : cancellation_(cancellation), results_(stages) {}

  void Put(int stage, StageImage image);
  // Waits. Cancelled when the build is.
  absl::StatusOr<StageImage> Await(int stage);
  // Wakes who waits, after the build was cancelled.
  void Wake();

  void TakeArgument(const std::string& name);
  std::set<std::string> taken_arguments() const;

  // Files of an image, each set read once.
  absl::StatusOr<std::shared_ptr<const FileSet>> ReadFiles(Images& images,
                                                           const std::string& directory,
                                                           const std::string& image,
                                                           const std::string& path);

 private:
  Cancellation& cancellation_;
  mutable absl::Mutex mu_;
  std::vector<std::optional<StageImage>> results_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> taken_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const FileSet>> files_
      ABSL_GUARDED_BY(mu_);
};

// Makes one stage, step by step. Used by one thread.
class StageRun {
 public:
  StageRun(const BuildParts& parts, const Plan& plan, const Stage& stage, char escape,
           std::shared_ptr<const FileSet> context, StageResults& results);

  // The error is that of the step; its state has been told.
  absl::StatusOr<StageImage> Run();

 private:
  struct Outcome {
    bool cached = false;
    std::string container;
    bool container_removed = false;
  };

  // stage_run.cc
  absl::Status Begin();
  absl::Status RunTriggers(std::vector<std::string> triggers);
  absl::Status Step(const Instruction& instruction, uint32_t number);
  absl::Status Execute(const Instruction& instruction);
  absl::StatusOr<ImageInfo> FindBase(const std::string& reference, const Platform& platform);
  absl::StatusOr<std::string> Expand(absl::string_view text) const;
  std::optional<std::string> Look(absl::string_view name) const;
  absl::Status At(const Instruction& instruction, const absl::Status& status) const;
  int64_t created_unix_ns() const;
  int64_t epoch_s() const;

  // Commits what `image_` is now, with a layer where there is a producer, unless that was done
  // before.
  absl::Status Commit(const std::string& created_by, const std::string& inputs,
                      const std::function<absl::Status(const TarSink&)>& layer = nullptr);
  std::string Key(const std::string& created_by, const std::string& inputs) const;
  // The image of an earlier build, when it is still there.
  bool TakeCached(const std::string& key);
  void Record(const std::string& key, const std::string& created_by, const std::string& parent);
  std::string Comment(absl::string_view text, bool one_blank = false) const;
  std::vector<std::string> Shell() const;

  // config_steps.cc
  absl::Status TakeConfig(const Instruction& instruction);
  absl::Status TakeArguments(const Instruction& instruction);
  absl::Status TakeEnv(const Instruction& instruction);
  absl::Status TakeLabels(const Instruction& instruction);
  absl::Status TakeExpose(const Instruction& instruction);
  absl::Status TakeVolumes(const Instruction& instruction);
  absl::Status TakeCommand(const Instruction& instruction);
  absl::Status TakeHealthcheck(const Instruction& instruction);
  absl::Status TakeWorkdir(const Instruction& instruction);

  // copy_step.cc
  absl::Status TakeCopy(const Instruction& instruction);
  absl::StatusOr<std::vector<CopySource>> CopySources(const Instruction& instruction);
  absl::Status AddGit(const Instruction& instruction, const std::string& url,
                      std::vector<CopySource>& sources);
  absl::Status AddRemote(const Instruction& instruction, const std::string& url,
                         std::vector<CopySource>& sources);
  absl::Status Unpack(CopySource& source) const;
  absl::StatusOr<std::string> SourceImage(const std::string& from);
  absl::StatusOr<Owner> FindOwner(const std::string& chown);
  absl::StatusOr<uint32_t> FindId(const std::string& name, const std::string& file);
  absl::StatusOr<PathInfo> Stat(const std::string& path);

  // run_step.cc
  absl::Status TakeRun(const Instruction& instruction);
  absl::Status RunContainer(const Instruction& instruction, const RunSpec& spec,
                            const std::string& created_by, const std::string& shown);
  absl::Status KeepFailed(const ContainerCommit& commit);
  std::vector<std::string> ArgumentEnv() const;

  class MountStage;

  const BuildParts& parts_;
  const Plan& plan_;
  const Stage& stage_;
  const char escape_;
  const std::shared_ptr<const FileSet> context_;
  StageResults& results_;

  StageImage image_;
  uint32_t number_ = 0;  // of the step
  int line_ = 0;         // of its instruction
  Outcome outcome_;
  bool command_set_ = false;  // by this stage
  // Declared, in this stage, with a value where they have one.
  std::map<std::string, std::optional<std::string>> arguments_;
  std::map<std::string, std::string> platform_arguments_;
};

// Arguments that need no ARG and are left out of history: HTTP_PROXY and the like.
bool IsProxyArgument(absl::string_view name);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOMAIN_STAGE_RUN_H_
