#ifndef SERVICES_CONTAINER_DOMAIN_VOLUME_TABLE_H_
#define SERVICES_CONTAINER_DOMAIN_VOLUME_TABLE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "services/container/model/container.h"
#include "services/container/model/volume.h"

namespace slipway::container {

struct UsedVolume {
  VolumePtr volume;
  std::vector<std::string> users;  // ids of the containers that have it
};

// All volumes and who has them. Reading never waits; whoever changes a volume has its turn
// meanwhile, and may ask the host. Thread-safe.
class VolumeTable {
 public:
  // The right to change one volume, whether it is there or not. Nobody takes a second one.
  class Turn {
   public:
    Turn(VolumeTable& table, std::string name);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    const std::string& name() const { return name_; }

   private:
    VolumeTable& table_;
    const std::string name_;
  };

  std::optional<UsedVolume> Find(const std::string& name) const ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<UsedVolume> All() const ABSL_LOCKS_EXCLUDED(mu_);  // by name

  // In the volume's turn, and before the table is shared.
  void Put(VolumePtr volume) ABSL_LOCKS_EXCLUDED(mu_);
  void Erase(const std::string& name) ABSL_LOCKS_EXCLUDED(mu_);
  void AddUser(const std::string& name, const std::string& container_id) ABSL_LOCKS_EXCLUDED(mu_);
  // How many have it still.
  size_t RemoveUser(const std::string& name, const std::string& container_id)
      ABSL_LOCKS_EXCLUDED(mu_);

  // How many were erased since the start: what was listed elsewhere before may be gone.
  uint64_t erased() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    VolumePtr volume;
    absl::btree_set<std::string> users;
  };

  mutable absl::Mutex mu_;
  absl::btree_map<std::string, Entry> volumes_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<std::string> turns_ ABSL_GUARDED_BY(mu_);
  uint64_t erased_ ABSL_GUARDED_BY(mu_) = 0;
};

// The names of the volumes that a container's mounts name, each once.
std::vector<std::string> VolumesOf(const ContainerSpec& spec);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_VOLUME_TABLE_H_
