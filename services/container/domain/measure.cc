#include "base/status/status_macros.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {

absl::StatusOr<ContainerSize> MeasureContainer(Core& core, const Container& container) {
  ContainerSize size;
  ASSIGN_OR_RETURN(size.written_bytes, core.agent().Measure(container.id()));
  ASSIGN_OR_RETURN(const int64_t image_bytes, core.image().SizeOf(container.definition->image_id));
  size.root_bytes = size.written_bytes + image_bytes;
  return size;
}

}  // namespace slipway::container
