#include "services/log/store/block_builder.h"

#include <algorithm>

namespace slipway::log {

BlockBuilder::BlockBuilder(const RunningState& before, uint64_t offset) {
  open_.begin = open_.end = offset;
  open_.after = before;
  open_.unterminated_before = before.unterminated;
}

void BlockBuilder::EndLine(size_t stream) {
  if (!open_.after.unterminated[stream]) return;
  ++open_.line_ends[stream];
  open_.after.unterminated[stream] = false;
}

void BlockBuilder::Add(const RecordHeader& header, absl::string_view data, uint64_t offset) {
  if (fresh_) {
    fresh_ = false;
    open_.starts_batch = header.first_of_batch;
  }
  RunningState& state = open_.after;
  state.max_time_unix_ns = std::max(state.max_time_unix_ns, header.time_unix_ns);
  ++state.records;
  state.ended = header.kind == RecordKind::kEnd;
  const size_t stream = StreamIndex(header.stream);
  switch (header.kind) {
    case RecordKind::kChunk:
      (stream == 0 ? state.stdout_bytes : state.stderr_bytes) += header.data_bytes;
      if (data.empty()) break;
      open_.line_ends[stream] += static_cast<uint32_t>(std::count(data.begin(), data.end(), '\n'));
      state.unterminated[stream] = data.back() != '\n';
      break;
    case RecordKind::kGap:
      state.dropped_bytes += DecodeGapData(data);
      for (size_t each = 0; each < kStreams; ++each) {
        if (header.stream == StdStream::kNone || each == stream) EndLine(each);
      }
      break;
    case RecordKind::kEnd:
      for (size_t each = 0; each < kStreams; ++each) EndLine(each);
      break;
  }
  if (header.last_of_batch) state.spool_end_bytes = header.spool_end_bytes;
  open_.end = offset + kRecordHeaderBytes + header.data_bytes;
  if (open_.end - open_.begin >= kBlockBytes) Seal();
}

void BlockBuilder::Skip(uint64_t offset) { open_.end = offset; }

void BlockBuilder::Seal() {
  if (open_.begin == open_.end) return;
  finished_.push_back(open_);
  Block next;
  next.begin = next.end = open_.end;
  next.after = open_.after;
  next.unterminated_before = open_.after.unterminated;
  open_ = next;
  fresh_ = true;
}

}  // namespace slipway::log
