#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "services/log/store/record_scanner.h"
#include "services/log/store/segment_file.h"

namespace slipway::log {
namespace {

// Keeps the entries that recovery can go on from: a batch begins after the last of them.
absl::StatusOr<std::vector<Block>> TrustedEntries(const SegmentFile& file, std::vector<Block> index,
                                                  uint64_t size_bytes, ReadBuffer& buffer) {
  while (!index.empty()) {
    const Block last = index.back();
    // Dropped in any case: the block itself is read again, for what its last record is.
    index.pop_back();
    if (last.end > size_bytes || !last.starts_batch) continue;
    RecordScanner scanner(file, last.begin, size_bytes);
    ASSIGN_OR_RETURN(const RecordScanner::Found found, scanner.Next(buffer));
    if (found == RecordScanner::Found::kRecord) break;
  }
  return index;
}

absl::StatusOr<bool> IsZero(const SegmentFile& file, uint64_t begin, uint64_t end) {
  if (file.sealed) return false;  // nothing of it was cut short
  char bytes[4096];
  while (begin < end) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(sizeof(bytes), end - begin));
    const ssize_t n = pread(file.fd.get(), bytes, wanted, static_cast<off_t>(begin));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "read log segment");
    if (n == 0) return true;
    if (std::any_of(bytes, bytes + n, [](char c) { return c != 0; })) return false;
    begin += static_cast<uint64_t>(n);
  }
  return true;
}

// One pass over the records behind the index.
class Recovery {
 public:
  Recovery(const SegmentFile& file, Recovered& out, uint64_t size_bytes)
      : file_(file),
        out_(out),
        size_(size_bytes),
        scanner_(file, out.builder.open().begin, size_bytes) {}

  absl::Status Run(bool last, ReadBuffer& buffer) {
    Keep();
    bool torn = false;
    while (true) {
      ASSIGN_OR_RETURN(const RecordScanner::Found found, scanner_.Next(buffer));
      if (found == RecordScanner::Found::kEnd) break;
      if (found == RecordScanner::Found::kTorn) {
        torn = true;
        break;
      }
      ASSIGN_OR_RETURN(const bool zeros, Take(found));
      if (zeros) {
        torn = true;
        break;
      }
    }
    const bool incomplete = out_.size_bytes != scanner_.found_offset() && !damaged_since_batch_;
    if (last && (torn || incomplete)) {
      out_.builder = whole_;
      return absl::OkStatus();
    }
    if (torn) out_.builder.Skip(size_);
    // Damage hides where the last batch ends; its records that are left all name that place.
    if (last_spool_end_ > out_.builder.state().spool_end_bytes) {
      out_.builder.set_spool_end(last_spool_end_);
    }
    out_.size_bytes = size_;
    return absl::OkStatus();
  }

 private:
  // Everything up to here is whole batches.
  void Keep() {
    out_.size_bytes = scanner_.offset();
    whole_ = out_.builder;
    damaged_since_batch_ = false;
  }

  // True: from here on the file is zeros, blocks that a power cut left without their data.
  absl::StatusOr<bool> Take(RecordScanner::Found found) {
    if (found == RecordScanner::Found::kDamaged) {
      if (scanner_.offset() == size_) {
        ASSIGN_OR_RETURN(const bool zeros, IsZero(file_, scanner_.found_offset(), size_));
        if (zeros) return true;
      }
      out_.damaged_bytes += scanner_.offset() - scanner_.found_offset();
      out_.builder.Skip(scanner_.offset());
      damaged_since_batch_ = true;
      return false;
    }
    const RecordHeader& header = scanner_.header();
    if (found == RecordScanner::Found::kDamagedData) out_.damaged_bytes += header.data_bytes;
    out_.builder.Add(header, scanner_.data(), scanner_.found_offset());
    last_spool_end_ = header.spool_end_bytes;
    if (header.last_of_batch) Keep();
    return false;
  }

  const SegmentFile& file_;
  Recovered& out_;
  const uint64_t size_;
  RecordScanner scanner_;
  BlockBuilder whole_;
  bool damaged_since_batch_ = false;
  uint64_t last_spool_end_ = 0;
};

}  // namespace

absl::StatusOr<Recovered> RecoverSegment(const SegmentFile& file, std::vector<Block> index,
                                         uint64_t size_bytes, bool last, ReadBuffer& buffer) {
  buffer.Forget();
  Recovered out;
  ASSIGN_OR_RETURN(index, TrustedEntries(file, std::move(index), size_bytes, buffer));
  out.indexed = index.size();
  out.builder = index.empty() ? BlockBuilder(file.header.before, kSegmentPrologueBytes)
                              : BlockBuilder(index.back().after, index.back().end);
  // Blocks that the scan finds come behind those of the index.
  RETURN_IF_ERROR(
      Recovery(file, out, std::max<uint64_t>(size_bytes, kSegmentPrologueBytes)).Run(last, buffer));
  std::vector<Block>& finished = out.builder.finished();
  finished.insert(finished.begin(), index.begin(), index.end());
  buffer.Forget();
  return out;
}

}  // namespace slipway::log
