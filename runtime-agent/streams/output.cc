#include "runtime-agent/streams/output.h"

#include <algorithm>
#include <utility>

#include "base/status/status_macros.h"
#include "runtime-agent/spool/reader.h"

namespace slipway::agent {

Output::Output(Options options)
    : id_(std::move(options.id)),
      file_(std::move(options.file)),
      read_slot_(std::move(options.read_slot)),
      trimmed_(options.trimmed),
      stored_(options.stored),
      runs_(options.runs) {
  uint64_t run = options.runs - options.run_ends.size();
  for (uint64_t offset : options.run_ends) {
    ends_.push_back({.run = ++run, .offset = offset, .exit_code = options.last_exit_code});
    committed_ = offset;
  }
}

void Output::BeginRun(uint32_t slot, uint64_t incarnation) {
  absl::MutexLock lock(&mutex_);
  ++runs_;
  running_ = true;
  slot_ = slot;
  incarnation_ = incarnation;
}

void Output::EndRun(uint64_t offset, int exit_code) {
  absl::MutexLock lock(&mutex_);
  if (!running_) return;
  running_ = false;
  committed_ = std::max(committed_, offset);
  ends_.push_back({.run = runs_, .offset = committed_, .exit_code = exit_code});
  if (ends_.size() > kMaxRunEnds) ends_.erase(ends_.begin());
}

uint64_t Output::Committed() const {
  absl::MutexLock lock(&mutex_);
  if (running_) {
    const auto slot = read_slot_(slot_, incarnation_);
    if (slot.ok()) committed_ = std::max(committed_, slot->spool_committed);
  }
  return committed_;
}

bool Output::running() const {
  absl::MutexLock lock(&mutex_);
  return running_;
}

uint64_t Output::runs() const {
  absl::MutexLock lock(&mutex_);
  return runs_;
}

std::optional<Output::RunEnd> Output::EndOf(uint64_t run) const {
  absl::MutexLock lock(&mutex_);
  for (const RunEnd& end : ends_) {
    if (end.run == run) return end;
  }
  return std::nullopt;
}

bool Output::IsRunEnd(uint64_t offset) const {
  absl::MutexLock lock(&mutex_);
  return std::any_of(ends_.begin(), ends_.end(),
                     [offset](const RunEnd& end) { return end.offset == offset; });
}

std::vector<uint64_t> Output::RunEndOffsets() const {
  absl::MutexLock lock(&mutex_);
  std::vector<uint64_t> offsets;
  for (const RunEnd& end : ends_) offsets.push_back(end.offset);
  return offsets;
}

std::unique_ptr<Output::Reader> Output::AddReader(std::shared_ptr<Output> output, uint64_t offset) {
  Output* raw = output.get();
  std::unique_ptr<Reader> reader(new Reader(std::move(output), offset));
  absl::MutexLock lock(&raw->mutex_);
  raw->readers_.push_back(reader.get());
  return reader;
}

Output::Reader::~Reader() {
  absl::MutexLock lock(&output_->mutex_);
  output_->readers_.remove(this);
}

uint64_t Output::Needed(uint64_t acknowledged, uint64_t patience_bytes) const {
  const uint64_t committed = Committed();
  const uint64_t patience = committed > patience_bytes ? committed - patience_bytes : 0;
  absl::MutexLock lock(&mutex_);
  uint64_t needed = acknowledged;
  for (const Reader* reader : readers_) {
    if (reader->offset() >= patience) needed = std::min(needed, reader->offset());
  }
  return needed;
}

absl::Status Output::Trim(uint64_t offset) {
  const uint64_t from = trimmed();
  if (offset <= from) return absl::OkStatus();
  RETURN_IF_ERROR(TrimSpool(file_.get(), from, offset));
  trimmed_.store(offset, std::memory_order_relaxed);
  return absl::OkStatus();
}

}  // namespace slipway::agent
