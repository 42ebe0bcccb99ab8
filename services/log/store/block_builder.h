#ifndef SERVICES_LOG_STORE_BLOCK_BUILDER_H_
#define SERVICES_LOG_STORE_BLOCK_BUILDER_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/log/store/segment_format.h"

namespace slipway::log {

// Follows the records of one segment and cuts them into blocks for the index; used alike when
// records are written and when an index is made again. Copyable, so that a caller can go back.
// Not thread-safe.
class BlockBuilder {
 public:
  BlockBuilder() = default;
  // The next record lies at `offset` of the file.
  BlockBuilder(const RunningState& before, uint64_t offset);

  // `data` is empty for a record whose data is damaged.
  void Add(const RecordHeader& header, absl::string_view data, uint64_t offset);
  // Bytes up to `offset` could not be read.
  void Skip(uint64_t offset);

  // The unfinished block; empty when begin == end.
  const Block& open() const { return open_; }
  const RunningState& state() const { return open_.after; }
  std::vector<Block>& finished() { return finished_; }
  // Finishes the open block.
  void Seal();
  void set_spool_end(uint64_t bytes) { open_.after.spool_end_bytes = bytes; }

 private:
  void EndLine(size_t stream);

  Block open_;
  bool fresh_ = true;
  std::vector<Block> finished_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_BLOCK_BUILDER_H_
