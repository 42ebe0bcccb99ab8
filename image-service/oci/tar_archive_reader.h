#ifndef IMAGE_SERVICE_OCI_TAR_ARCHIVE_READER_H_
#define IMAGE_SERVICE_OCI_TAR_ARCHIVE_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "image-service/ports/archive.h"

namespace slipway::image {

// ArchiveReader on libarchive. `source` outlives the reader.
absl::StatusOr<std::unique_ptr<ArchiveReader>> OpenTarArchive(ByteSource& source);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_OCI_TAR_ARCHIVE_READER_H_
