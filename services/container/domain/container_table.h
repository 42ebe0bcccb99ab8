#ifndef SERVICES_CONTAINER_DOMAIN_CONTAINER_TABLE_H_
#define SERVICES_CONTAINER_DOMAIN_CONTAINER_TABLE_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "services/container/domain/entry.h"

namespace slipway::container {

// All containers by id, id prefix and name. Thread-safe; no call blocks.
class ContainerTable {
 public:
  // By full id, name (a leading slash is ignored), then unique prefix of an id, as Docker does.
  // NOT_FOUND, or INVALID_ARGUMENT for a prefix of several.
  absl::StatusOr<EntryPtr> Find(absl::string_view reference) const ABSL_LOCKS_EXCLUDED(mu_);
  // By full id; null when there is none.
  EntryPtr FindById(absl::string_view id) const ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<EntryPtr> All() const ABSL_LOCKS_EXCLUDED(mu_);
  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);
  // Those whose definitions link to the container of this id.
  std::vector<EntryPtr> LinkersOf(const std::string& id) const ABSL_LOCKS_EXCLUDED(mu_);

  // Takes the name for the id, before or after Add(). ALREADY_EXISTS in Docker's words.
  absl::Status ReserveName(const std::string& name, const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);
  void ReleaseName(const std::string& name, const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);

  // An id whose container is being created: it is neither unknown nor there yet.
  void BeginCreate(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);
  void EndCreate(const std::string& id) ABSL_LOCKS_EXCLUDED(mu_);
  // Whether it is there, or is being created.
  bool Knows(absl::string_view id) const ABSL_LOCKS_EXCLUDED(mu_);

  void Add(EntryPtr entry) ABSL_LOCKS_EXCLUDED(mu_);
  // Frees its name too.
  void Erase(const Container& container) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  mutable absl::Mutex mu_;
  absl::btree_map<std::string, EntryPtr> by_id_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, std::string> names_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<std::string> creating_ ABSL_GUARDED_BY(mu_);
  // The ids of those that link to an id. A definition's links never change.
  absl::flat_hash_map<std::string, absl::btree_set<std::string>> linkers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_CONTAINER_TABLE_H_
