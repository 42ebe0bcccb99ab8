#include <fcntl.h>
#include <limits.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "services/log/store/container_log.h"
#include "services/log/store/crc32c.h"

namespace slipway::log {

// A batch as it will lie in the file: headers made here, data where the caller has it.
struct ContainerLog::Encoded {
  std::vector<RecordHeader> headers;
  std::vector<absl::string_view> data;
  std::vector<std::string> gap_data;
  uint64_t size = 0;
  uint64_t payload = 0;
  uint64_t gap = 0;
  uint64_t dropped = 0;
};

namespace {

absl::StatusOr<uint64_t> NewSalt() {
  uint64_t salt = 0;
  if (getrandom(&salt, sizeof(salt), 0) != static_cast<ssize_t>(sizeof(salt))) {
    return ErrnoStatus(errno, "getrandom");
  }
  return salt;
}

// The records that begin at `stored` or behind it. A batch that was cut differently when it was
// shipped again can be split only where its records say where they end.
absl::StatusOr<std::vector<Record>> NewRecords(const Batch& batch, uint64_t stored) {
  if (batch.begin_offset_bytes >= stored) return batch.records;
  std::vector<Record> rest;
  uint64_t begin = batch.begin_offset_bytes;
  bool split = false;
  for (const Record& record : batch.records) {
    if (begin == stored) split = true;
    if (split) {
      rest.push_back(record);
      continue;
    }
    if (record.spool_end_bytes <= begin || record.spool_end_bytes > batch.end_offset_bytes) break;
    begin = record.spool_end_bytes;
  }
  if (begin == stored) split = true;
  if (!split) {
    return absl::FailedPreconditionError(
        absl::StrCat("batch [", batch.begin_offset_bytes, ", ", batch.end_offset_bytes,
                     ") is stored in part: ship from offset ", stored));
  }
  return rest;
}

}  // namespace

ContainerLog::Encoded ContainerLog::Encode(const Batch& batch, std::vector<Record> records,
                                           uint64_t gap) {
  Encoded encoded{.gap = gap};
  if (gap != 0) {
    const int64_t time =
        records.empty() ? absl::GetCurrentTimeNanos() : records.front().time_unix_ns;
    records.insert(records.begin(),
                   Record{.time_unix_ns = time, .kind = RecordKind::kGap, .dropped_bytes = gap});
  }
  // A record in the spool may stand for nothing here; the offset moves on all the same.
  if (records.empty()) {
    records.push_back({.time_unix_ns = absl::GetCurrentTimeNanos(), .kind = RecordKind::kGap});
  }
  encoded.gap_data.reserve(records.size());
  for (const Record& record : records) {
    absl::string_view data = record.kind == RecordKind::kChunk ? record.data : "";
    if (record.kind == RecordKind::kGap) {
      // Short strings live in the vector itself, which does not grow any more.
      data = encoded.gap_data.emplace_back(EncodeGapData(record.dropped_bytes));
      encoded.dropped += record.dropped_bytes;
    }
    do {
      const absl::string_view piece = data.substr(0, kMaxRecordDataBytes);
      data.remove_prefix(piece.size());
      encoded.headers.push_back({.data_bytes = static_cast<uint32_t>(piece.size()),
                                 .data_crc = Crc32c(piece),
                                 .kind = record.kind,
                                 .stream = record.stream,
                                 .time_unix_ns = record.time_unix_ns,
                                 .spool_end_bytes = batch.end_offset_bytes});
      encoded.data.push_back(piece);
      encoded.size += kRecordHeaderBytes + piece.size();
      if (record.kind == RecordKind::kChunk) encoded.payload += piece.size();
    } while (!data.empty());
  }
  encoded.headers.front().first_of_batch = true;
  encoded.headers.back().last_of_batch = true;
  return encoded;
}

absl::StatusOr<uint64_t> ContainerLog::Append(const Batch& batch) {
  Touch();
  absl::MutexLock append_lock(&append_mu_);
  uint64_t stored = 0;
  {
    absl::MutexLock lock(&mu_);
    if (deleted_) return absl::AbortedError("the log was deleted");
    stored = state_.spool_end_bytes;
  }
  if (batch.end_offset_bytes <= stored) {
    if (!batch.records.empty()) {
      ++counters_.duplicate_batches;
    } else if (batch.begin_offset_bytes == stored) {
      absl::MutexLock lock(&mu_);
      resumed_ = true;
    }
    return stored;
  }
  ASSIGN_OR_RETURN(std::vector<Record> records, NewRecords(batch, stored));
  const uint64_t gap = batch.begin_offset_bytes > stored ? batch.begin_offset_bytes - stored : 0;
  const Encoded encoded = Encode(batch, std::move(records), gap);
  absl::Status status = OpenForAppend(encoded.size, stored);
  if (status.ok()) status = Write(encoded);
  if (!status.ok()) {
    ++counters_.append_errors;
    return status;
  }
  Publish(encoded);
  WriteIndexEntries();
  return batch.end_offset_bytes;
}

absl::Status ContainerLog::OpenForAppend(uint64_t batch_bytes, uint64_t begin_offset) {
  const bool full = append_file_ != nullptr && append_size_ > kSegmentPrologueBytes &&
                    append_size_ + batch_bytes > SegmentBytes();
  if (append_file_ != nullptr && !full) return absl::OkStatus();
  return StartSegment(begin_offset);
}

absl::Status ContainerLog::StartSegment(uint64_t begin_offset) {
  if (append_file_ != nullptr) SealLast();
  RETURN_IF_ERROR(AddSegment(begin_offset));
  TrimToLimit();
  return absl::OkStatus();
}

// A small log is kept in small segments, so that its end is not all that is left of it.
uint64_t ContainerLog::SegmentBytes() const {
  if (limit_ >= limits_.container_bytes) return limits_.segment_bytes;
  return std::min(limits_.segment_bytes, std::max<uint64_t>(limit_ / 4, kBlockBytes));
}

absl::Status ContainerLog::Roll(uint64_t least_bytes) {
  absl::MutexLock append_lock(&append_mu_);
  uint64_t begin_offset = 0;
  {
    absl::MutexLock lock(&mu_);
    if (deleted_ || segments_.empty() || append_file_ == nullptr) return absl::OkStatus();
    begin_offset = state_.spool_end_bytes;
    // Segments are named after where they begin.
    if (segments_.back().header.first_offset_bytes == begin_offset) return absl::OkStatus();
  }
  if (append_size_ <= std::max<uint64_t>(least_bytes, kSegmentPrologueBytes)) {
    return absl::OkStatus();
  }
  return StartSegment(begin_offset);
}

absl::StatusOr<uint64_t> ContainerLog::Truncate() {
  RETURN_IF_ERROR(Roll(0));
  std::vector<uint64_t> victims;
  uint64_t bytes = 0;
  {
    absl::MutexLock lock(&mu_);
    for (size_t i = 0; i + 1 < segments_.size(); ++i) {
      victims.push_back(segments_[i].header.first_offset_bytes);
      bytes += segments_[i].stored;
    }
  }
  for (const uint64_t victim : victims) DropSegment(victim);
  return bytes;
}

void ContainerLog::SealLast() {
  builder_.Seal();
  WriteIndexEntries();
  absl::MutexLock lock(&mu_);
  unsynced_.push_back(append_file_);
}

absl::Status ContainerLog::AddSegment(uint64_t begin_offset) {
  SegmentHeader header{.first_offset_bytes = begin_offset,
                       .created_unix_ns = absl::GetCurrentTimeNanos(),
                       .before = builder_.state()};
  ASSIGN_OR_RETURN(header.salt, NewSalt());
  ASSIGN_OR_RETURN(std::shared_ptr<SegmentFile> file,
                   CreateSegment(SegmentPath(directory_, begin_offset), header));
  const std::string index_path = IndexPath(directory_, begin_offset);
  RETURN_IF_ERROR(WriteIndex(index_path, header.salt, {}));
  ASSIGN_OR_RETURN(index_fd_, OpenFile(index_path, O_WRONLY | O_APPEND));
  append_file_ = file;
  append_size_ = kSegmentPrologueBytes;
  builder_ = BlockBuilder(header.before, kSegmentPrologueBytes);
  indexed_blocks_ = 0;
  ++counters_.segments;
  counters_.stored_bytes += static_cast<int64_t>(kSegmentPrologueBytes);
  absl::MutexLock lock(&mu_);
  segments_.push_back({.header = header,
                       .size = kSegmentPrologueBytes,
                       .stored = kSegmentPrologueBytes,
                       .file = file});
  blocks_.clear();
  open_block_ = builder_.open();
  directory_dirty_ = true;
  return absl::OkStatus();
}

absl::Status ContainerLog::Write(const Encoded& encoded) {
  std::string headers(encoded.headers.size() * kRecordHeaderBytes, '\0');
  std::vector<iovec> parts;
  parts.reserve(2 * encoded.headers.size());
  for (size_t i = 0; i < encoded.headers.size(); ++i) {
    char* bytes = headers.data() + i * kRecordHeaderBytes;
    EncodeRecordHeader(encoded.headers[i], append_file_->header.salt, bytes);
    parts.push_back({bytes, kRecordHeaderBytes});
    if (encoded.data[i].empty()) continue;
    parts.push_back({const_cast<char*>(encoded.data[i].data()), encoded.data[i].size()});
  }
  size_t at = 0;
  uint64_t offset = append_size_;
  while (at < parts.size()) {
    const int count = static_cast<int>(std::min<size_t>(parts.size() - at, IOV_MAX));
    ssize_t n = pwritev(append_file_->fd.get(), &parts[at], count, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const absl::Status error = ErrnoStatus(
          errno, absl::StrCat("append to ",
                              SegmentPath(directory_, append_file_->header.first_offset_bytes)));
      // Nothing of the batch may stay; what cannot be cut off now is overwritten by the next one
      // or cut off by recovery.
      (void)!ftruncate(append_file_->fd.get(), static_cast<off_t>(append_size_));
      return error;
    }
    offset += static_cast<uint64_t>(n);
    for (; at < parts.size() && static_cast<size_t>(n) >= parts[at].iov_len; ++at) {
      n -= static_cast<ssize_t>(parts[at].iov_len);
    }
    if (n > 0) {
      parts[at].iov_base = static_cast<char*>(parts[at].iov_base) + n;
      parts[at].iov_len -= static_cast<size_t>(n);
    }
  }
  return absl::OkStatus();
}

void ContainerLog::Publish(const Encoded& encoded) {
  for (size_t i = 0; i < encoded.headers.size(); ++i) {
    builder_.Add(encoded.headers[i], encoded.data[i], append_size_);
    append_size_ += kRecordHeaderBytes + encoded.data[i].size();
  }
  counters_.appended_bytes += encoded.payload;
  counters_.appended_records += encoded.headers.size();
  ++counters_.appended_batches;
  counters_.gap_bytes += encoded.gap;
  counters_.dropped_bytes += encoded.dropped;
  counters_.stored_bytes += static_cast<int64_t>(encoded.size);
  std::vector<Waiter> waiters;
  {
    absl::MutexLock lock(&mu_);
    const std::vector<Block>& finished = builder_.finished();
    blocks_.insert(blocks_.end(), finished.begin() + static_cast<ptrdiff_t>(blocks_.size()),
                   finished.end());
    open_block_ = builder_.open();
    state_ = builder_.state();
    segments_.back().size = segments_.back().stored = append_size_;
    resumed_ = false;
    dirty_ = true;
    waiters.swap(waiters_);
  }
  for (const Waiter& waiter : waiters) waiter.wake();
}

void ContainerLog::WriteIndexEntries() {
  const std::vector<Block>& finished = builder_.finished();
  if (indexed_blocks_ == finished.size()) return;
  std::string entries;
  for (; indexed_blocks_ < finished.size(); ++indexed_blocks_) {
    entries += EncodeIndexEntry(finished[indexed_blocks_], append_file_->header.salt);
  }
  // The index can be made again from the segment, so that its errors are nobody's failure.
  const absl::Status written = WriteAll(index_fd_.get(), entries, "log index");
  if (!written.ok()) Log(LogLevel::kWarning, written.message(), {{"directory", directory_}});
}

void ContainerLog::TrimToLimit() {
  std::vector<uint64_t> victims;
  {
    absl::MutexLock lock(&mu_);
    uint64_t total = 0;
    for (const Segment& segment : segments_) total += segment.stored;
    for (size_t i = 0; i + 1 < segments_.size() && total > limit_; ++i) {
      total -= segments_[i].stored;
      victims.push_back(segments_[i].header.first_offset_bytes);
    }
  }
  for (const uint64_t victim : victims) DropSegment(victim);
}

absl::Status ContainerLog::Sync() {
  std::vector<std::shared_ptr<SegmentFile>> files;
  bool directory = false;
  {
    absl::MutexLock lock(&mu_);
    if (deleted_) return absl::OkStatus();
    files.swap(unsynced_);
    directory = std::exchange(directory_dirty_, false);
    if (std::exchange(dirty_, false) && !segments_.empty()) {
      if (auto file = segments_.back().file.lock()) files.push_back(std::move(file));
    }
  }
  for (const auto& file : files) {
    if (fdatasync(file->fd.get()) != 0) {
      return ErrnoStatus(errno, absl::StrCat("sync a segment in ", directory_));
    }
  }
  if (!directory) return absl::OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(directory_, O_RDONLY | O_DIRECTORY));
  if (fsync(fd.get()) != 0) return ErrnoStatus(errno, absl::StrCat("sync ", directory_));
  return absl::OkStatus();
}

}  // namespace slipway::log
