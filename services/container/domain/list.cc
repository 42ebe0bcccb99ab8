#include <utility>

#include "base/status/status_macros.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {
namespace {

absl::StatusOr<int64_t> CreatedAt(Core& core, const std::string& reference) {
  if (reference.empty()) return 0;
  ASSIGN_OR_RETURN(const EntryPtr entry, core.table().Find(reference));
  return entry->snapshot()->definition->created_unix_ns;
}

}  // namespace

absl::StatusOr<std::vector<ContainerPtr>> ListContainers(Core& core, ListQuery query) {
  ASSIGN_OR_RETURN(query.before_unix_ns, CreatedAt(core, query.before));
  ASSIGN_OR_RETURN(query.since_unix_ns, CreatedAt(core, query.since));
  for (const std::string& ancestor : query.ancestors) {
    // One that does not exist matches what its text matches.
    const absl::StatusOr<std::string> id = core.image().Resolve(ancestor);
    if (id.ok()) query.ancestor_ids.push_back(*id);
  }
  ASSIGN_OR_RETURN(const ListFilter filter, ListFilter::Create(std::move(query)));
  std::vector<ContainerPtr> snapshots;
  for (const EntryPtr& entry : core.table().All()) {
    if (!entry->removed()) snapshots.push_back(entry->snapshot());
  }
  return filter.Apply(std::move(snapshots));
}

}  // namespace slipway::container
