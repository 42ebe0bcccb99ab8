#include "services/container/domain/container_table.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace slipway::container {
namespace {

std::vector<std::string> LinkedIds(const Container& container) {
  std::vector<std::string> ids;
  for (const std::string& link : container.definition->spec.network.links) {
    ids.push_back(link.substr(0, link.find(':')));
  }
  return ids;
}

}  // namespace

absl::StatusOr<EntryPtr> ContainerTable::Find(absl::string_view reference) const {
  absl::MutexLock lock(&mu_);
  const std::string wanted(reference);
  const auto by_id = by_id_.find(wanted);
  if (by_id != by_id_.end()) return by_id->second;
  const auto named = names_.find(absl::StripPrefix(reference, "/"));
  if (named != names_.end()) {
    const auto found = by_id_.find(named->second);
    if (found != by_id_.end()) return found->second;
  }
  const auto first = wanted.empty() ? by_id_.end() : by_id_.lower_bound(wanted);
  if (first == by_id_.end() || !absl::StartsWith(first->first, wanted)) {
    return absl::NotFoundError(absl::StrCat("No such container: ", reference.substr(0, 300)));
  }
  const auto second = std::next(first);
  if (second != by_id_.end() && absl::StartsWith(second->first, wanted)) {
    return absl::InvalidArgumentError(
        absl::StrCat("Multiple IDs found with provided prefix: ", reference));
  }
  return first->second;
}

EntryPtr ContainerTable::FindById(absl::string_view id) const {
  absl::MutexLock lock(&mu_);
  const auto found = by_id_.find(std::string(id));
  return found == by_id_.end() ? nullptr : found->second;
}

std::vector<EntryPtr> ContainerTable::All() const {
  absl::MutexLock lock(&mu_);
  std::vector<EntryPtr> all;
  all.reserve(by_id_.size());
  for (const auto& [id, entry] : by_id_) all.push_back(entry);
  return all;
}

size_t ContainerTable::size() const {
  absl::MutexLock lock(&mu_);
  return by_id_.size();
}

std::vector<EntryPtr> ContainerTable::LinkersOf(const std::string& id) const {
  absl::MutexLock lock(&mu_);
  std::vector<EntryPtr> all;
  const auto linkers = linkers_.find(id);
  if (linkers == linkers_.end()) return all;
  for (const std::string& linker : linkers->second) {
    const auto found = by_id_.find(linker);
    if (found != by_id_.end()) all.push_back(found->second);
  }
  return all;
}

absl::Status ContainerTable::ReserveName(const std::string& name, const std::string& id) {
  absl::MutexLock lock(&mu_);
  const auto [holder, inserted] = names_.try_emplace(name, id);
  if (inserted || holder->second == id) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat("Conflict. The container name \"/", name, "\" is already in use by container \"",
                   holder->second,
                   "\". You have to remove (or rename) that container to be able to reuse that "
                   "name."));
}

void ContainerTable::ReleaseName(const std::string& name, const std::string& id) {
  absl::MutexLock lock(&mu_);
  const auto holder = names_.find(name);
  if (holder != names_.end() && holder->second == id) names_.erase(holder);
}

void ContainerTable::BeginCreate(const std::string& id) {
  absl::MutexLock lock(&mu_);
  creating_.insert(id);
}

void ContainerTable::EndCreate(const std::string& id) {
  absl::MutexLock lock(&mu_);
  creating_.erase(id);
}

bool ContainerTable::Knows(absl::string_view id) const {
  absl::MutexLock lock(&mu_);
  return creating_.contains(id) || by_id_.contains(std::string(id));
}

void ContainerTable::Add(EntryPtr entry) {
  const ContainerPtr container = entry->snapshot();
  absl::MutexLock lock(&mu_);
  for (const std::string& linked : LinkedIds(*container)) linkers_[linked].insert(container->id());
  by_id_[container->id()] = std::move(entry);
}

void ContainerTable::Erase(const Container& container) {
  EntryPtr dropped;
  absl::MutexLock lock(&mu_);
  const auto found = by_id_.find(container.id());
  if (found != by_id_.end()) {
    dropped = std::move(found->second);
    by_id_.erase(found);
  }
  const auto holder = names_.find(container.name);
  if (holder != names_.end() && holder->second == container.id()) names_.erase(holder);
  for (const std::string& linked : LinkedIds(container)) {
    const auto linkers = linkers_.find(linked);
    if (linkers == linkers_.end()) continue;
    linkers->second.erase(container.id());
    if (linkers->second.empty()) linkers_.erase(linkers);
  }
}

}  // namespace slipway::container
