#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/domain/tree.h"

namespace slipway::agent {

absl::StatusOr<int64_t> Runtime::Measure(const std::string& id) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, Find(id));
  return TreeSize(absl::StrCat(Directory(id), "/upper"));
}

}  // namespace slipway::agent
