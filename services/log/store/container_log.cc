#include "services/log/store/container_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "services/log/store/segment_cursor.h"

namespace slipway::log {
namespace {

BlockSummary Summarise(uint64_t segment, const Block& block) {
  return {.begin = {.segment = segment, .offset = block.begin},
          .end = {.segment = segment, .offset = block.end},
          .max_time_unix_ns = block.after.max_time_unix_ns,
          .line_ends = {block.line_ends[0], block.line_ends[1]},
          .unterminated_before = block.unterminated_before};
}

absl::StatusOr<uint64_t> SizeOnDisk(const std::string& path) {
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
  return static_cast<uint64_t>(st.st_size);
}

}  // namespace

ContainerLog::ContainerLog(std::string directory, const StoreLimits& limits, Counters& counters)
    : directory_(std::move(directory)),
      limits_(limits),
      limit_(limits.container_bytes),
      counters_(counters) {
  ++counters_.open_logs;
  Touch();
}

ContainerLog::~ContainerLog() { --counters_.open_logs; }

absl::StatusOr<std::shared_ptr<ContainerLog>> ContainerLog::Open(std::string directory,
                                                                 const StoreLimits& limits,
                                                                 bool create, Counters& counters) {
  struct stat st;
  if (stat(directory.c_str(), &st) != 0) {
    if (errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("stat ", directory));
    if (!create) return absl::NotFoundError("nothing was logged");
    if (mkdir(directory.c_str(), 0750) != 0 && errno != EEXIST) {
      return ErrnoStatus(errno, absl::StrCat("mkdir ", directory));
    }
    ++counters.containers;
  }
  std::shared_ptr<ContainerLog> log(new ContainerLog(std::move(directory), limits, counters));
  RETURN_IF_ERROR(log->Load());
  return log;
}

absl::Status ContainerLog::Load() {
  ASSIGN_OR_RETURN(const std::vector<ListedSegment> found, ListSegments(directory_));
  for (const auto& [first, sealed] : found) {
    const std::string path =
        sealed ? SealedPath(directory_, first) : SegmentPath(directory_, first);
    ASSIGN_OR_RETURN(const uint64_t size, SizeOnDisk(path));
    const auto file = sealed ? OpenSealed(path) : OpenSegment(path, O_RDONLY);
    if (!file.ok()) {
      if (file.status().code() != absl::StatusCode::kDataLoss) return file.status();
      // What a power cut left of a new segment, or damage: kept aside for whoever wants to look.
      Log(LogLevel::kError, "log segment set aside",
          {{"segment", path}, {"error", std::string(file.status().message())}});
      rename(path.c_str(), absl::StrCat(path, ".damaged").c_str());
      counters_.damaged_bytes += size;
      counters_.stored_bytes -= static_cast<int64_t>(size);
      --counters_.segments;
      continue;
    }
    ASSIGN_OR_RETURN(const uint64_t written, WrittenBytes(**file, path));
    segments_.push_back(
        {.header = (*file)->header, .size = written, .stored = size, .sealed = sealed});
    // Killed between the two steps of sealing.
    if (sealed) unlink(SegmentPath(directory_, first).c_str());
  }
  if (segments_.empty()) return absl::OkStatus();
  if (segments_.back().sealed) return LoadBehindSealed();
  return LoadLast(segments_.back().header.first_offset_bytes);
}

absl::Status ContainerLog::LoadLast(uint64_t first_offset) {
  Segment& last = segments_.back();
  const std::string path = SegmentPath(directory_, first_offset);
  const std::string index_path = IndexPath(directory_, first_offset);
  ASSIGN_OR_RETURN(append_file_, OpenSegment(path, O_RDWR));
  ReadBuffer buffer;
  ASSIGN_OR_RETURN(Recovered recovered,
                   RecoverSegment(*append_file_, LoadIndex(index_path, last.header.salt), last.size,
                                  /*last=*/true, buffer));
  if (recovered.size_bytes != last.size) {
    Log(LogLevel::kWarning, "incomplete batch cut off",
        {{"segment", path}, {"bytes", absl::StrCat(last.size - recovered.size_bytes)}});
    if (ftruncate(append_file_->fd.get(), static_cast<off_t>(recovered.size_bytes)) != 0) {
      return ErrnoStatus(errno, absl::StrCat("truncate ", path));
    }
    counters_.stored_bytes += static_cast<int64_t>(recovered.size_bytes - last.size);
    last.size = last.stored = recovered.size_bytes;
  }
  counters_.damaged_bytes += recovered.damaged_bytes;
  last.file = append_file_;
  builder_ = std::move(recovered.builder);
  // A state is never behind the offset in the segment's name.
  if (builder_.state().spool_end_bytes < first_offset) builder_.set_spool_end(first_offset);
  append_size_ = last.size;
  blocks_ = builder_.finished();
  open_block_ = builder_.open();
  state_ = builder_.state();
  RETURN_IF_ERROR(WriteIndex(index_path, last.header.salt, builder_.finished()));
  indexed_blocks_ = builder_.finished().size();
  ASSIGN_OR_RETURN(index_fd_, OpenFile(index_path, O_WRONLY | O_APPEND));
  // Whoever was told of these bytes may have died before they were synced.
  dirty_ = true;
  return absl::OkStatus();
}

// The last segment was sealed and the next one never begun, or lost.
absl::Status ContainerLog::LoadBehindSealed() {
  const Segment& last = segments_.back();
  ASSIGN_OR_RETURN(const std::shared_ptr<SegmentFile> file,
                   OpenSealed(SealedPath(directory_, last.header.first_offset_bytes)));
  ASSIGN_OR_RETURN(const std::vector<Block> blocks,
                   SegmentBlocks(IndexPath(directory_, last.header.first_offset_bytes), *file,
                                 last.size, /*complete=*/true));
  state_ = blocks.empty() ? last.header.before : blocks.back().after;
  builder_ = BlockBuilder(state_, kSegmentPrologueBytes);
  return AddSegment(std::max(state_.spool_end_bytes, last.header.first_offset_bytes + 1));
}

std::optional<uint64_t> ContainerLog::NextToSeal() const {
  absl::MutexLock lock(&mu_);
  if (deleted_) return std::nullopt;
  for (size_t i = 0; i + 1 < segments_.size(); ++i) {
    if (!segments_[i].sealed) return segments_[i].header.first_offset_bytes;
  }
  return std::nullopt;
}

void ContainerLog::CommitSealed(uint64_t segment, uint64_t sealed_bytes) {
  bool gone = false;
  {
    absl::MutexLock lock(&mu_);
    const auto at = std::find_if(segments_.begin(), segments_.end(), [&](const Segment& s) {
      return s.header.first_offset_bytes == segment;
    });
    if (deleted_) return;
    gone = at == segments_.end();
    if (!gone) {
      counters_.stored_bytes += static_cast<int64_t>(sealed_bytes - at->stored);
      at->sealed = true;
      at->stored = sealed_bytes;
      // Readers that have the file go on with it; the bytes are the same.
      at->file.reset();
    }
  }
  unlink((gone ? SealedPath(directory_, segment) : SegmentPath(directory_, segment)).c_str());
}

void ContainerLog::Touch() const {
  last_use_s_ = std::chrono::duration_cast<std::chrono::seconds>(
                    std::chrono::steady_clock::now().time_since_epoch())
                    .count();
}

int64_t ContainerLog::last_use_s() const { return last_use_s_; }

bool ContainerLog::Ended() const {
  absl::MutexLock lock(&mu_);
  return state_.ended && !resumed_;
}

uint64_t ContainerLog::AcknowledgedOffset() const {
  absl::MutexLock lock(&mu_);
  return state_.spool_end_bytes;
}

LogStats ContainerLog::Stats() const {
  absl::MutexLock lock(&mu_);
  LogStats stats{.stdout_bytes = state_.stdout_bytes,
                 .stderr_bytes = state_.stderr_bytes,
                 .records = state_.records,
                 .dropped_bytes = state_.dropped_bytes,
                 .last_unix_ns = std::max<int64_t>(state_.max_time_unix_ns, 0)};
  if (!segments_.empty()) {
    stats.kept_payload_bytes = Payload(state_) - Payload(segments_.front().header.before);
  }
  for (const Segment& segment : segments_) stats.stored_bytes += segment.stored;
  return stats;
}

LogState ContainerLog::State() const {
  Touch();
  absl::MutexLock lock(&mu_);
  LogState state{
      .unterminated = state_.unterminated, .ended = state_.ended && !resumed_, .deleted = deleted_};
  if (segments_.empty()) return state;
  state.begin = {.segment = segments_.front().header.first_offset_bytes,
                 .offset = kSegmentPrologueBytes};
  state.end = {.segment = segments_.back().header.first_offset_bytes,
               .offset = segments_.back().size};
  return state;
}

std::vector<SegmentSummary> ContainerLog::Segments() const {
  absl::MutexLock lock(&mu_);
  std::vector<SegmentSummary> summaries;
  summaries.reserve(segments_.size());
  for (const Segment& segment : segments_) {
    summaries.push_back({.segment = segment.header.first_offset_bytes,
                         .max_time_before_unix_ns = segment.header.before.max_time_unix_ns});
  }
  return summaries;
}

absl::StatusOr<std::vector<BlockSummary>> ContainerLog::Blocks(uint64_t segment) const {
  std::vector<Block> blocks;
  {
    absl::MutexLock lock(&mu_);
    if (!segments_.empty() && segments_.back().header.first_offset_bytes == segment) {
      blocks = blocks_;
      if (open_block_.begin != open_block_.end) blocks.push_back(open_block_);
    }
  }
  if (blocks.empty()) {
    ASSIGN_OR_RETURN(const Extent extent, ExtentFrom(segment));
    if (extent.file == nullptr || extent.segment != segment) return std::vector<BlockSummary>();
    // The next segment may have begun in between, but then this one cannot change any more.
    ASSIGN_OR_RETURN(blocks, SegmentBlocks(IndexPath(directory_, segment), *extent.file, extent.end,
                                           !extent.last));
  }
  std::vector<BlockSummary> summaries;
  summaries.reserve(blocks.size());
  for (const Block& block : blocks) summaries.push_back(Summarise(segment, block));
  return summaries;
}

absl::StatusOr<ContainerLog::Extent> ContainerLog::ExtentFrom(uint64_t segment) const {
  bool sealed = false;
  while (true) {
    Extent extent;
    {
      absl::MutexLock lock(&mu_);
      if (deleted_) return extent;
      const auto at = std::lower_bound(
          segments_.begin(), segments_.end(), segment,
          [](const Segment& s, uint64_t first) { return s.header.first_offset_bytes < first; });
      if (at == segments_.end()) return extent;
      extent = {.file = at->file.lock(),
                .segment = at->header.first_offset_bytes,
                .end = at->size,
                .last = at + 1 == segments_.end()};
      if (!extent.last) extent.payload_end = Payload((at + 1)->header.before);
      sealed = at->sealed;
    }
    if (extent.file != nullptr) return extent;
    auto file = sealed ? OpenSealed(SealedPath(directory_, extent.segment))
                       : OpenSegment(SegmentPath(directory_, extent.segment), O_RDONLY);
    if (!file.ok() && file.status().code() != absl::StatusCode::kNotFound) return file.status();
    absl::MutexLock lock(&mu_);
    const auto at = std::find_if(segments_.begin(), segments_.end(), [&](const Segment& s) {
      return s.header.first_offset_bytes == extent.segment;
    });
    // Deleted between the two looks: the next one then is the first that is left.
    if (at == segments_.end() || deleted_ || at->sealed != sealed) continue;
    if (!file.ok()) {
      return absl::DataLossError(
          absl::StrCat("segment ", SegmentPath(directory_, extent.segment), " is missing"));
    }
    at->file = *file;
    extent.file = *std::move(file);
    return extent;
  }
}

std::unique_ptr<RecordCursor> ContainerLog::NewCursor(
    const Position& from, std::shared_ptr<const TextProbe> probe) const {
  return std::make_unique<SegmentCursor>(shared_from_this(), from, std::move(probe));
}

bool ContainerLog::WaitBeyond(const Position& seen, int64_t deadline_unix_ns,
                              std::function<void()> wake) {
  absl::MutexLock lock(&mu_);
  if (deleted_) return false;
  if (!segments_.empty()) {
    const Position end{.segment = segments_.back().header.first_offset_bytes,
                       .offset = segments_.back().size};
    if (end > seen) return false;
  }
  waiters_.push_back({deadline_unix_ns, std::move(wake)});
  return true;
}

void ContainerLog::WakeExpired(int64_t now_unix_ns) {
  std::vector<Waiter> expired;
  {
    absl::MutexLock lock(&mu_);
    const auto from = std::partition(waiters_.begin(), waiters_.end(), [&](const Waiter& waiter) {
      return waiter.deadline_unix_ns == 0 || waiter.deadline_unix_ns >= now_unix_ns;
    });
    std::move(from, waiters_.end(), std::back_inserter(expired));
    waiters_.erase(from, waiters_.end());
  }
  for (const Waiter& waiter : expired) waiter.wake();
}

void ContainerLog::MarkDeleted() {
  std::vector<Waiter> waiters;
  {
    // After this no append is under way, so that the directory may be moved.
    absl::MutexLock append_lock(&append_mu_);
    absl::MutexLock lock(&mu_);
    deleted_ = true;
    int64_t bytes = 0;
    for (const Segment& segment : segments_) bytes += static_cast<int64_t>(segment.stored);
    counters_.stored_bytes -= bytes;
    counters_.segments -= static_cast<int64_t>(segments_.size());
    waiters.swap(waiters_);
  }
  for (const Waiter& waiter : waiters) waiter.wake();
}

void ContainerLog::DropSegment(uint64_t segment) {
  uint64_t bytes = 0;
  {
    absl::MutexLock lock(&mu_);
    const auto at = std::find_if(segments_.begin(), segments_.end(), [&](const Segment& s) {
      return s.header.first_offset_bytes == segment;
    });
    if (at == segments_.end() || at + 1 == segments_.end() || deleted_) return;
    bytes = at->stored;
    segments_.erase(at);
  }
  unlink(SegmentPath(directory_, segment).c_str());
  unlink(SealedPath(directory_, segment).c_str());
  unlink(IndexPath(directory_, segment).c_str());
  counters_.stored_bytes -= static_cast<int64_t>(bytes);
  --counters_.segments;
  counters_.retention_deleted_bytes += bytes;
}

}  // namespace slipway::log
