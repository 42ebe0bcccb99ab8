#ifndef RUNTIME_AGENT_DOMAIN_VOLUMES_H_
#define RUNTIME_AGENT_DOMAIN_VOLUMES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace slipway::agent {

// What a volume is made of: nothing of this for a plain directory, a mount (`type` and `device`),
// or a directory with a limit.
struct VolumeSource {
  std::string type;
  std::string device;
  std::string mount_options;
  int64_t size_bytes = 0;
};

// The volumes of this host, each a directory:
//
//   <name>/_data     what containers see; a mount while somebody uses it, if it is made of one
//   <name>/options   what it is made of; not there for a plain one
//   <name>/image     the file system of one with a size, where there is no project quota
//   <name>/filling   an image's files are being copied into it
//   .removed/        what is to be deleted
//
// Nothing else of them is kept: a killed agent's successor finds it all here. Thread-safe;
// operations on one volume take turns.
class Volumes {
 public:
  // Makes the directory.
  static absl::StatusOr<std::unique_ptr<Volumes>> Open(std::string directory);

  // Synced. OK when it is there.
  absl::Status Create(const std::string& name, const VolumeSource& source);
  // Takes the name away; DeleteRemoved() does the rest. FailedPrecondition while somebody has it,
  // after a moment in which they may let go. OK when there is none.
  absl::Status Remove(const std::string& name);
  void DeleteRemoved();
  std::vector<std::string> List() const;
  // Nothing is mounted for it.
  bool IsPlain(const std::string& name) const;
  // Negative where the files are not ours to count.
  int64_t Measure(const std::string& name);

  // The name of the volume that has this `_data` directory; empty: none.
  std::string NameOf(absl::string_view data_directory) const;

  // `user` sees it from here on: makes a plain one that is missing, mounts what is to be mounted.
  absl::Status Use(const std::string& name, const std::string& user);
  // The last one unmounts it.
  void Release(const std::string& name, const std::string& user);
  // What was used before this process began.
  void Adopt(const std::string& name, const std::string& user);
  // Unmounts what nobody uses. How many.
  int ReapUnused();

  // Makes a plain one that is missing.
  absl::Status Ensure(const std::string& name);
  // The same, and copies what the image `root` has at `inside` into it when it is empty, or when a
  // killed agent did not come to the end of that.
  absl::Status Fill(const std::string& name, int root, const std::string& inside);

 private:
  class Turn;

  explicit Volumes(std::string directory) : directory_(std::move(directory)) {}

  std::string PathOf(const std::string& name, absl::string_view what) const;
  absl::StatusOr<VolumeSource> SourceOf(const std::string& name) const;
  absl::Status EnsureInTurn(const std::string& name);
  absl::Status CreateInTurn(const std::string& name, const VolumeSource& source);
  absl::Status MountInTurn(const std::string& name);
  bool UnmountInTurn(const std::string& name);
  bool IsUsed(const std::string& name) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string directory_;
  absl::Mutex mutex_;
  std::set<std::string> turns_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::set<std::string>> users_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_VOLUMES_H_
