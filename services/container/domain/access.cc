#include <utility>

#include "base/status/status_macros.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {

absl::Status RecordAccess(Core& core, const std::string& reference, absl::string_view action,
                          StringMap attributes) {
  ASSIGN_OR_RETURN(const EntryPtr entry, core.table().Find(reference));
  return core.Write({}, {core.MakeEvent(*entry->snapshot(), action, std::move(attributes))},
                    Durability::kSoon);
}

}  // namespace slipway::container
