#include "services/log/store/block_builder.h"

#include <algorithm>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace slipway::log {
namespace {

// Each appended byte is looked at here: 16 at a time where the processor can.
uint32_t CountNewlines(absl::string_view data) {
  size_t at = 0;
  uint32_t count = 0;
#ifdef __SSE2__
  constexpr size_t kStep = sizeof(__m128i);
  const __m128i newline = _mm_set1_epi8('\n');
  const __m128i zero = _mm_setzero_si128();
  while (data.size() - at >= kStep) {
    // Each byte of `found` counts up to 255 of them.
    __m128i found = zero;
    const size_t end = at + std::min<size_t>((data.size() - at) / kStep, 255) * kStep;
    for (; at < end; at += kStep) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data.data() + at));
      found = _mm_sub_epi8(found, _mm_cmpeq_epi8(bytes, newline));
    }
    const __m128i sums = _mm_sad_epu8(found, zero);
    count += static_cast<uint32_t>(_mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4));
  }
#endif
  return count + static_cast<uint32_t>(
                     std::count(data.begin() + static_cast<ptrdiff_t>(at), data.end(), '\n'));
}

}  // namespace

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
      open_.line_ends[stream] += CountNewlines(data);
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
