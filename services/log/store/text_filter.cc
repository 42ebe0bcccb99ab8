#include "services/log/store/text_filter.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "services/log/store/crc32c.h"

namespace slipway::log {
namespace {

constexpr uint32_t kAlways = 1;
constexpr uint32_t kStdoutUnterminated = 2;
constexpr uint32_t kStderrUnterminated = 4;
constexpr uint32_t kLongRest = 8;
constexpr size_t kHeadBytes = 8;
constexpr size_t kEntryBytes = 24;
constexpr size_t kLeastSetBytes = 128;
constexpr size_t kMostStretches = 1 << 16;
constexpr uint32_t kTrigramMask = 0xFFFFFF;

template <typename Integer>
void Append(std::string& out, Integer value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename Integer>
Integer Take(absl::string_view& bytes) {
  Integer value;
  memcpy(&value, bytes.data(), sizeof(value));
  bytes.remove_prefix(sizeof(value));
  return value;
}

size_t CountBits(const std::vector<uint64_t>& words) {
  size_t bits = 0;
  for (const uint64_t word : words) bits += static_cast<size_t>(std::popcount(word));
  return bits;
}

}  // namespace

TrigramSet::TrigramSet() : words_((size_t{1} << kBits) / 64) {}

std::string TrigramSet::Encode() {
  // Of a search's trigrams several are missing where it finds nothing: three eighths of the bits
  // being set still tell most of it.
  const auto is_full = [](const std::vector<uint64_t>& words, size_t eighths) {
    return CountBits(words) * 8 > words.size() * 64 * eighths;
  };
  if (is_full(words_, 5)) return "";
  while (words_.size() * sizeof(uint64_t) > kLeastSetBytes) {
    const size_t half = words_.size() / 2;
    std::vector<uint64_t> folded(half);
    for (size_t i = 0; i < half; ++i) folded[i] = words_[i] | words_[half + i];
    if (is_full(folded, 3)) break;
    words_ = std::move(folded);
  }
  return std::string(reinterpret_cast<const char*>(words_.data()),
                     words_.size() * sizeof(uint64_t));
}

void StretchBuilder::Begin(uint64_t begin) {
  if (before_) Settle();
  before_ = std::exchange(now_, std::nullopt);
  now_.emplace();
  now_->stretch.begin = begin;
  now_->stretch.unterminated_before = in_line_;
  now_->rest = in_line_;
  // The beginning of that line lies in another segment.
  now_->stretch.always = !before_ && HasRest();
}

// Everything of `before_` has come, but for a line that is longer than both stretches.
void StretchBuilder::Settle() {
  if (HasRest()) before_->stretch.always = now_->stretch.always = true;
  before_->stretch.trigrams = before_->trigrams.Encode();
  done_.push_back(std::move(before_->stretch));
  before_.reset();
}

void StretchBuilder::AddFrame(uint64_t begin, absl::string_view bytes, uint64_t salt) {
  Begin(begin);
  if (begin == 0) bytes.remove_prefix(std::min(bytes.size(), kSegmentPrologueBytes));
  while (!bytes.empty()) {
    std::optional<RecordHeader> header;
    if (bytes.size() >= kRecordHeaderBytes) header = DecodeRecordHeader(bytes.data(), salt);
    if (!header || bytes.size() < kRecordHeaderBytes + header->data_bytes) {
      Unknown();
      break;
    }
    bytes.remove_prefix(kRecordHeaderBytes);
    AddRecord(*header, bytes.substr(0, header->data_bytes));
    bytes.remove_prefix(header->data_bytes);
  }
}

void StretchBuilder::AddRecord(const RecordHeader& header, absl::string_view data) {
  now_->stretch.last_time_unix_ns = header.time_unix_ns;
  if (Crc32c(data) != header.data_crc) {
    Unknown();
  } else if (header.kind == RecordKind::kChunk && header.stream != StdStream::kNone) {
    AddText(StreamIndex(header.stream), data);
  } else {
    // Readers are told of gaps, whatever they look for.
    if (header.kind == RecordKind::kGap) now_->stretch.always = true;
    Break(header.kind == RecordKind::kGap ? header.stream : StdStream::kNone);
  }
}

void StretchBuilder::AddText(size_t stream, absl::string_view text) {
  if (text.empty()) return;
  in_line_[stream] = text.back() != '\n';
  if (now_->rest[stream]) {
    const size_t newline = text.find('\n');
    const size_t rest = newline == absl::string_view::npos ? text.size() : newline + 1;
    AddTrigrams(stream, text.substr(0, rest), before_ ? &*before_ : nullptr);
    text.remove_prefix(rest);
    now_->rest[stream] = newline == absl::string_view::npos;
  }
  AddTrigrams(stream, text, &*now_);
}

void StretchBuilder::AddTrigrams(size_t stream, absl::string_view text, OpenStretch* to) {
  uint32_t last = last_[stream];
  uint32_t count = count_[stream];
  for (const char byte : text) {
    if (byte == '\n') {
      count = 0;
      continue;
    }
    last = (last << 8 | LowerByte(byte)) & kTrigramMask;
    if (++count >= 3 && to != nullptr) to->trigrams.Add(last);
  }
  last_[stream] = last;
  count_[stream] = std::min(count, 3u);
}

// What the stream, or both, have of a line is all that comes of it.
void StretchBuilder::Break(StdStream stream) {
  for (size_t i = 0; i < kStreams; ++i) {
    if (stream != StdStream::kNone && StreamIndex(stream) != i) continue;
    in_line_[i] = now_->rest[i] = false;
    count_[i] = 0;
  }
}

void StretchBuilder::Unknown() {
  now_->stretch.always = true;
  if (before_) before_->stretch.always = true;
  Break(StdStream::kNone);
}

std::vector<Stretch> StretchBuilder::Finish() {
  if (now_) {
    if (before_) Settle();
    // The line goes on in another segment.
    if (in_line_[0] || in_line_[1]) now_->stretch.always = true;
    now_->stretch.trigrams = now_->trigrams.Encode();
    done_.push_back(std::move(now_->stretch));
    now_.reset();
  }
  return std::move(done_);
}

std::string EncodeStretches(const std::vector<Stretch>& stretches) {
  std::string body;
  Append(body, static_cast<uint32_t>(stretches.size()));
  for (const Stretch& stretch : stretches) {
    Append(body, stretch.begin);
    Append(body, stretch.last_time_unix_ns);
    Append(body, (stretch.always ? kAlways : 0) |
                     (stretch.unterminated_before[0] ? kStdoutUnterminated : 0) |
                     (stretch.unterminated_before[1] ? kStderrUnterminated : 0));
    Append(body, static_cast<uint32_t>(stretch.trigrams.size()));
  }
  for (const Stretch& stretch : stretches) body += stretch.trigrams;
  std::string bytes;
  Append(bytes, Crc32c(body));
  return bytes + body;
}

std::optional<std::vector<Stretch>> DecodeStretches(absl::string_view bytes) {
  if (bytes.size() < kHeadBytes) return std::nullopt;
  if (const auto crc = Take<uint32_t>(bytes); Crc32c(bytes) != crc) return std::nullopt;
  const size_t count = Take<uint32_t>(bytes);
  if (count > kMostStretches || bytes.size() < count * kEntryBytes) return std::nullopt;
  absl::string_view sets = bytes.substr(count * kEntryBytes);
  std::vector<Stretch> stretches(count);
  for (size_t i = 0; i < count; ++i) {
    Stretch& stretch = stretches[i];
    stretch.begin = Take<uint64_t>(bytes);
    stretch.last_time_unix_ns = Take<int64_t>(bytes);
    const auto flags = Take<uint32_t>(bytes);
    stretch.always = (flags & kAlways) != 0;
    stretch.unterminated_before = {(flags & kStdoutUnterminated) != 0,
                                   (flags & kStderrUnterminated) != 0};
    stretch.long_rest = (flags & kLongRest) != 0;
    const size_t size = Take<uint32_t>(bytes);
    const bool in_order = i == 0 ? stretch.begin == 0 : stretch.begin > stretches[i - 1].begin;
    if (!in_order || size > sets.size() || (size & (size - 1)) != 0) return std::nullopt;
    stretch.trigrams = std::string(sets.substr(0, size));
    sets.remove_prefix(size);
  }
  if (!sets.empty()) return std::nullopt;
  return stretches;
}

}  // namespace slipway::log
