#ifndef SERVICES_LOG_STORE_SEGMENT_FILE_H_
#define SERVICES_LOG_STORE_SEGMENT_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"
#include "services/log/ports/log_store.h"
#include "services/log/store/block_builder.h"
#include "services/log/store/segment_bytes.h"
#include "services/log/store/segment_format.h"

// The files of one segment, `<directory>/<first offset, 20 digits>.seg`, or `.seg.zst` when it is
// sealed, and `.idx` beside it. Every error names the file.
namespace slipway::log {

std::string SegmentPath(const std::string& directory, uint64_t first_offset_bytes);
std::string SealedPath(const std::string& directory, uint64_t first_offset_bytes);
std::string IndexPath(const std::string& directory, uint64_t first_offset_bytes);

struct ListedSegment {
  uint64_t first_offset_bytes = 0;
  bool sealed = false;
};
// The segments in a directory, in order; one that is there in both forms is sealed. Other files are
// left out.
absl::StatusOr<std::vector<ListedSegment>> ListSegments(const std::string& directory);

// With a prologue that is new to the file. The name is durable once the directory was synced.
absl::StatusOr<std::shared_ptr<SegmentFile>> CreateSegment(const std::string& path,
                                                           const SegmentHeader& header);
absl::StatusOr<std::shared_ptr<SegmentFile>> OpenSegment(const std::string& path, int flags);
absl::StatusOr<std::shared_ptr<SegmentFile>> OpenSealed(const std::string& path);

// The good entries at the beginning of an index file that join up; none when it is missing or that
// of another segment.
std::vector<Block> LoadIndex(const std::string& path, uint64_t salt);
// Writes a new index in place of what is there.
absl::Status WriteIndex(const std::string& path, uint64_t salt, const std::vector<Block>& blocks);

// What a segment has.
struct Recovered {
  // Complete blocks, and the open one with the state after everything.
  BlockBuilder builder;
  // How much of the file is whole batches: what follows was cut in the middle of writing.
  uint64_t size_bytes = 0;
  uint64_t damaged_bytes = 0;
  // How many of the index's entries were taken over as they are.
  size_t indexed = 0;
};

// Reads what the index does not cover. `last` says that records may still be appended, so that an
// incomplete batch at the end is to be cut off: it was never acknowledged.
absl::StatusOr<Recovered> RecoverSegment(const SegmentFile& file, std::vector<Block> index,
                                         uint64_t size_bytes, bool last, ReadBuffer& buffer);

// The blocks of a segment of which `size_bytes` are written: from its index, or read anew, and then
// the index is written again if `complete` says that the segment does not grow any more.
absl::StatusOr<std::vector<Block>> SegmentBlocks(const std::string& index_path,
                                                 const SegmentFile& file, uint64_t size_bytes,
                                                 bool complete);

// Makes the sealed form of a segment beside it, durable and complete when this returns OK. How long
// it is.
absl::StatusOr<uint64_t> SealSegment(const std::string& directory, uint64_t first_offset_bytes);

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_SEGMENT_FILE_H_
