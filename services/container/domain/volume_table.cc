#include "services/container/domain/volume_table.h"

#include <algorithm>
#include <utility>

namespace slipway::container {

VolumeTable::Turn::Turn(VolumeTable& table, std::string name)
    : table_(table), name_(std::move(name)) {
  absl::MutexLock lock(&table_.mu_);
  const auto free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(table_.mu_) {
    return !table_.turns_.contains(name_);
  };
  table_.mu_.Await(absl::Condition(&free));
  table_.turns_.insert(name_);
}

VolumeTable::Turn::~Turn() {
  absl::MutexLock lock(&table_.mu_);
  table_.turns_.erase(name_);
}

std::optional<UsedVolume> VolumeTable::Find(const std::string& name) const {
  absl::MutexLock lock(&mu_);
  const auto found = volumes_.find(name);
  if (found == volumes_.end()) return std::nullopt;
  const Entry& entry = found->second;
  return UsedVolume{entry.volume, {entry.users.begin(), entry.users.end()}};
}

std::vector<UsedVolume> VolumeTable::All() const {
  absl::MutexLock lock(&mu_);
  std::vector<UsedVolume> all;
  all.reserve(volumes_.size());
  for (const auto& [name, entry] : volumes_) {
    all.push_back({entry.volume, {entry.users.begin(), entry.users.end()}});
  }
  return all;
}

void VolumeTable::Put(VolumePtr volume) {
  absl::MutexLock lock(&mu_);
  Entry& entry = volumes_[volume->name];
  entry.volume = std::move(volume);
}

void VolumeTable::Erase(const std::string& name) {
  absl::MutexLock lock(&mu_);
  erased_ += volumes_.erase(name);
}

void VolumeTable::AddUser(const std::string& name, const std::string& container_id) {
  absl::MutexLock lock(&mu_);
  const auto found = volumes_.find(name);
  if (found != volumes_.end()) found->second.users.insert(container_id);
}

size_t VolumeTable::RemoveUser(const std::string& name, const std::string& container_id) {
  absl::MutexLock lock(&mu_);
  const auto found = volumes_.find(name);
  if (found == volumes_.end()) return 0;
  found->second.users.erase(container_id);
  return found->second.users.size();
}

uint64_t VolumeTable::erased() const {
  absl::MutexLock lock(&mu_);
  return erased_;
}

std::vector<std::string> VolumesOf(const ContainerSpec& spec) {
  std::vector<std::string> names;
  for (const Mount& mount : spec.mounts) {
    if (mount.type == Mount::Type::kVolume && !mount.source.empty()) names.push_back(mount.source);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace slipway::container
