#ifndef IMAGE_SERVICE_OCI_TAR_ARCHIVE_WRITER_H_
#define IMAGE_SERVICE_OCI_TAR_ARCHIVE_WRITER_H_

#include <memory>

#include "image-service/ports/archive.h"

namespace slipway::image {

// ArchiveWriter on libarchive: ustar, with PAX headers for what does not fit (files from 8 GiB on).
// Everything belongs to root and has the time 0: the same content gives the same archive.
std::unique_ptr<ArchiveWriter> MakeTarArchive(ByteSink sink);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_OCI_TAR_ARCHIVE_WRITER_H_
