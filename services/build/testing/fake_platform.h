#ifndef SERVICES_BUILD_TESTING_FAKE_PLATFORM_H_
#define SERVICES_BUILD_TESTING_FAKE_PLATFORM_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/build/ports/build_events.h"
#include "services/build/ports/cache_store.h"
#include "services/build/ports/containers.h"
#include "services/build/ports/fetcher.h"
#include "services/build/ports/git.h"
#include "services/build/ports/images.h"

namespace slipway::build {

// Images and containers in memory, for tests. A container's command is the last word of its
// arguments: "fail N" exits with N, anything else prints itself. Thread-safe.
class FakePlatform : public Images,
                     public Containers,
                     public Fetcher,
                     public Git,
                     public BuildEvents {
 public:
  struct Made {
    ImageInfo info;
    std::string parent;
    std::string created_by;
    std::vector<std::string> names;
    std::map<std::string, std::string> files;  // of all layers
    int64_t created_unix_ns = 0;
  };

  // "base:1", with /etc/passwd and /etc/group in it; `on_build` are its triggers.
  explicit FakePlatform(std::vector<std::string> on_build = {});

  absl::StatusOr<ImageInfo> Get(const std::string& reference) override;
  absl::StatusOr<ImageInfo> Pull(const std::string& reference, const Platform& platform,
                                 const std::function<void(absl::string_view)>& progress) override;
  absl::StatusOr<PathInfo> Stat(const std::string& image, const std::string& path) override;
  absl::Status ReadFiles(const std::string& image, const std::string& path,
                         const std::function<absl::Status(FileInfo)>& on_file,
                         const std::function<absl::Status(absl::string_view)>& on_data) override;
  absl::StatusOr<std::string> Commit(
      const NewImage& image, const std::function<absl::Status(const TarSink&)>& produce) override;
  // Another image with all files; the ancestor is its parent.
  absl::StatusOr<std::string> Squash(const std::string& image, const std::string& ancestor,
                                     int64_t created_unix_ns) override;
  absl::Status Tag(const std::string& image, const std::string& name) override;
  absl::StatusOr<std::vector<ImageSummary>> List() override;

  absl::StatusOr<std::string> Create(const RunSpec& spec) override;
  absl::StatusOr<int> Run(
      const std::string& container,
      const std::function<void(bool is_stderr, absl::string_view data)>& output) override;
  absl::Status Unpack(const std::string& container, const std::string& directory,
                      const std::function<absl::Status(const TarSink&)>& produce) override;
  absl::StatusOr<std::string> Commit(const ContainerCommit& commit) override;
  absl::Status Remove(const std::string& image) override;
  void RemoveSoon(const std::string& container) override;

  absl::StatusOr<Fetched> Fetch(
      const std::string& url, const std::function<absl::Status(absl::string_view)>& sink) override;
  // "https://host/repo.git" has a Dockerfile, "file" and "sub/file" with the reference in them;
  // others are NotFound.
  absl::StatusOr<std::string> ReadFiles(
      const GitReference& reference, bool keep_git_dir,
      const std::function<absl::Status(FileInfo)>& on_file,
      const std::function<absl::Status(absl::string_view)>& on_data) override;

  void OnPlan(const std::vector<PlannedStep>& steps, const PlanNeeds& needs) override;
  void OnStep(const StepUpdate& update) override;
  void OnOutput(uint32_t step, bool is_stderr, absl::string_view data) override;
  void OnWarning(absl::string_view text) override;

  Made image(const std::string& id) const;
  size_t images() const;
  // created_by of an image and what it is made on, the newest first.
  std::vector<std::string> history(const std::string& id) const;
  std::vector<RunSpec> runs() const;
  size_t containers() const;
  std::vector<PlannedStep> plan() const;
  PlanNeeds needs() const;
  std::string states() const;  // of the steps, a letter each
  std::string output() const;
  std::vector<std::string> warnings() const;
  int created_containers() const;

 private:
  std::string Put(Made made) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  const Made* Find(const std::string& reference) const ABSL_SHARED_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  std::map<std::string, Made> images_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, RunSpec> containers_ ABSL_GUARDED_BY(mu_);
  std::vector<RunSpec> runs_ ABSL_GUARDED_BY(mu_);
  std::vector<PlannedStep> plan_ ABSL_GUARDED_BY(mu_);
  PlanNeeds needs_ ABSL_GUARDED_BY(mu_);
  std::map<uint32_t, StepState> states_ ABSL_GUARDED_BY(mu_);
  std::string output_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> warnings_ ABSL_GUARDED_BY(mu_);
  int next_ ABSL_GUARDED_BY(mu_) = 1;
  int created_containers_ ABSL_GUARDED_BY(mu_) = 0;
};

class FakeCacheStore : public CacheStore {
 public:
  absl::StatusOr<std::vector<CachedStep>> Load() override { return std::vector<CachedStep>(); }
  absl::Status Put(const CachedStep&) override { return absl::OkStatus(); }
  absl::Status Delete(const std::vector<std::string>&) override { return absl::OkStatus(); }
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_TESTING_FAKE_PLATFORM_H_
