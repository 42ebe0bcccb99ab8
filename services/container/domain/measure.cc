#include "base/status/status_macros.h"
#include "services/container/domain/verbs.h"

namespace slipway::container {

absl::StatusOr<ContainerSize> MeasureContainer(Core& core, const Container& container) {
  ContainerSize size;
  ASSIGN_OR_RETURN(size.written_bytes, core.agent().Measure(container.id()));
  const absl::StatusOr<int64_t> image_bytes = core.image().SizeOf(container.definition->image_id);
  // The image may have been removed from under it.
  if (!image_bytes.ok() && !absl::IsNotFound(image_bytes.status())) return image_bytes.status();
  size.root_bytes = size.written_bytes + image_bytes.value_or(0);
  return size;
}

}  // namespace slipway::container
