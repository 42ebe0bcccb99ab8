#include "services/log/store/catalogue.h"

#include <utility>

namespace slipway::log {

void Catalogue::Changed(std::vector<std::function<void()>>& waiters) {
  ++version_;
  waiters.swap(waiters_);
}

bool Catalogue::Put(const std::string& id, std::shared_ptr<const LogDescription> description) {
  std::vector<std::function<void()>> waiters;
  {
    absl::MutexLock lock(&mu_);
    const auto [at, added] = logs_.try_emplace(id);
    const bool told =
        description != nullptr && (at->second == nullptr || !(*at->second == *description));
    if (!added && !told) return false;
    if (told) at->second = std::move(description);
    if (at->second == nullptr) at->second = std::make_shared<const LogDescription>();
    Changed(waiters);
  }
  for (const auto& wake : waiters) wake();
  return true;
}

void Catalogue::Remove(const std::string& id) {
  std::vector<std::function<void()>> waiters;
  {
    absl::MutexLock lock(&mu_);
    if (logs_.erase(id) == 0) return;
    Changed(waiters);
  }
  for (const auto& wake : waiters) wake();
}

std::shared_ptr<const LogDescription> Catalogue::Find(const std::string& id) const {
  absl::MutexLock lock(&mu_);
  const auto at = logs_.find(id);
  return at == logs_.end() ? nullptr : at->second;
}

std::vector<DescribedLog> Catalogue::List(uint64_t* version) const {
  absl::MutexLock lock(&mu_);
  std::vector<DescribedLog> logs;
  logs.reserve(logs_.size());
  for (const auto& [id, description] : logs_) logs.push_back({id, description});
  if (version != nullptr) *version = version_;
  return logs;
}

bool Catalogue::Wait(uint64_t version, std::function<void()> wake) {
  absl::MutexLock lock(&mu_);
  if (version_ != version) return false;
  waiters_.push_back(std::move(wake));
  return true;
}

}  // namespace slipway::log
