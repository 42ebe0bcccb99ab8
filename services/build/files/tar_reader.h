#ifndef SERVICES_BUILD_FILES_TAR_READER_H_
#define SERVICES_BUILD_FILES_TAR_READER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/build/files/file_set.h"

namespace slipway::build {

// The next bytes of an archive, valid until the next call; empty at its end.
using ByteSource = std::function<absl::StatusOr<absl::string_view>()>;

// A tar (plain, or compressed with gzip, bzip2, xz or zstd) as a set of files. DataLoss for what is
// no tar or breaks off, InvalidArgument for paths that lead out; an error of the source goes
// through. An archive of no bytes at all is one of no files.
//
// `file` (null: none) is an open file whose bytes, from its start, are those of the source: what is
// in a plain tar stays there then.
absl::StatusOr<std::shared_ptr<const FileSet>> ReadTar(
    const ByteSource& source, const std::string& directory,
    std::shared_ptr<const UniqueFd> file = nullptr);

// The files in an archive that is itself a file of `set`; null when it is no tar.
absl::StatusOr<std::shared_ptr<const FileSet>> ReadNestedTar(const FileSet& set,
                                                             const FileSet::File& file,
                                                             const std::string& directory);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_FILES_TAR_READER_H_
