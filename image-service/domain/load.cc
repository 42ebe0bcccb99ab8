#include "image-service/domain/load.h"

#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "image-service/domain/load_session.h"

namespace slipway::image {

absl::StatusOr<std::vector<LoadedName>> Loader::Load(ByteSource& source,
                                                     ProgressObserver& observer) {
  const absl::Time begin = absl::Now();
  LoadSession session(parts_, format_, observer);
  const auto run = [&]() -> absl::StatusOr<std::vector<LoadedName>> {
    ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> archive, open_(source));
    RETURN_IF_ERROR(session.ReadMembers(*archive));
    return session.PutImages();
  };
  absl::StatusOr<std::vector<LoadedName>> loaded = run();
  session.DropUnused();
  parts_.metrics.OnFinished("load", absl::StatusCodeToString(loaded.status().code()),
                            absl::Now() - begin);
  return loaded;
}

}  // namespace slipway::image
