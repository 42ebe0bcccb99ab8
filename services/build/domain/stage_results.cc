#include <utility>

#include "base/status/status_macros.h"
#include "services/build/domain/stage_run.h"

namespace slipway::build {

void StageResults::Put(int stage, StageImage image) {
  absl::MutexLock lock(&mu_);
  results_[stage] = std::move(image);
}

absl::StatusOr<StageImage> StageResults::Await(int stage) {
  absl::MutexLock lock(&mu_);
  const auto ready = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return results_[stage].has_value() || cancellation_.cancelled();
  };
  mu_.Await(absl::Condition(&ready));
  if (!results_[stage].has_value()) return cancellation_.status();
  return *results_[stage];
}

void StageResults::Wake() { absl::MutexLock lock(&mu_); }

void StageResults::TakeArgument(const std::string& name) {
  absl::MutexLock lock(&mu_);
  taken_.insert(name);
}

std::set<std::string> StageResults::taken_arguments() const {
  absl::MutexLock lock(&mu_);
  return taken_;
}

absl::StatusOr<std::shared_ptr<const FileSet>> StageResults::ReadFiles(Images& images,
                                                                       const std::string& directory,
                                                                       const std::string& image,
                                                                       const std::string& path) {
  const std::pair<std::string, std::string> key(image, path);
  {
    absl::MutexLock lock(&mu_);
    const auto found = files_.find(key);
    if (found != files_.end()) return found->second;
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<FileSet::Writer> writer,
                   FileSet::Writer::Create(directory));
  RETURN_IF_ERROR(images.ReadFiles(
      image, path, [&](FileInfo info) { return writer->Add(std::move(info)); },
      [&](absl::string_view data) { return writer->Append(data); }));
  ASSIGN_OR_RETURN(std::shared_ptr<const FileSet> files, writer->Finish());
  absl::MutexLock lock(&mu_);
  return files_.emplace(key, std::move(files)).first->second;
}

}  // namespace slipway::build
