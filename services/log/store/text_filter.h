#ifndef SERVICES_LOG_STORE_TEXT_FILTER_H_
#define SERVICES_LOG_STORE_TEXT_FILTER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/log/ports/text_probe.h"
#include "services/log/store/segment_format.h"

// Which trigrams occur in the lines of a stretch of a sealed segment: a search passes over
// stretches that cannot have what it looks for. As docs/log-format.md describes them. Not
// thread-safe.
namespace slipway::log {

// A set that may say yes to what it does not have (a Bloom filter with one hash).
class TrigramSet {
 public:
  TrigramSet();
  void Add(uint32_t trigram) {
    const uint32_t bit = Hash(trigram);
    words_[bit / 64] |= uint64_t{1} << bit % 64;
  }
  // As small as it can be and tell something; empty when it could not: then it has everything.
  std::string Encode();

  static bool Has(absl::string_view encoded, uint32_t trigram) {
    const uint32_t bit = Hash(trigram) & static_cast<uint32_t>(encoded.size() * 8 - 1);
    return (static_cast<unsigned char>(encoded[bit / 8]) >> bit % 8 & 1) != 0;
  }

 private:
  static constexpr int kBits = 17;
  static uint32_t Hash(uint32_t trigram) { return trigram * 0x9E3779B1u >> (32 - kBits); }

  std::vector<uint64_t> words_;
};

// Lines belong to the stretch that they begin in.
struct Stretch {
  uint64_t begin = 0;             // in the segment as it was written
  int64_t last_time_unix_ns = 0;  // of its last record
  bool always = false;            // what its lines have is not known
  // The stream is in the middle of a line before it.
  std::array<bool, kStreams> unterminated_before = {};
  // A line from before it goes on behind its first frame; only where it has several.
  bool long_rest = false;
  std::string trigrams;  // TrigramSet; empty: any

  bool MayHave(const TextProbe& probe) const {
    if (always || trigrams.empty()) return true;
    return probe.MayFind([this](uint32_t each) { return TrigramSet::Has(trigrams, each); });
  }
};

// A stretch of which more may come.
struct OpenStretch {
  Stretch stretch;
  TrigramSet trigrams;
  // The stream's line from before has not ended yet.
  std::array<bool, kStreams> rest = {};
};

// Makes a stretch of each of a segment's frames, in order.
class StretchBuilder {
 public:
  // `unterminated`: before the segment.
  explicit StretchBuilder(std::array<bool, kStreams> unterminated) : in_line_(unterminated) {}

  // The bytes [begin, begin + bytes.size()) of the segment, which begin and end with a record, but
  // for the prologue.
  void AddFrame(uint64_t begin, absl::string_view bytes, uint64_t salt);
  std::vector<Stretch> Finish();

 private:
  void Begin(uint64_t begin);
  void AddRecord(const RecordHeader& header, absl::string_view data);
  void AddText(size_t stream, absl::string_view text);
  void AddTrigrams(size_t stream, absl::string_view text, OpenStretch* to);
  void Break(StdStream stream);
  void Unknown();
  bool HasRest() const { return now_->rest[0] || now_->rest[1]; }
  void Settle();

  std::array<bool, kStreams> in_line_;
  std::array<uint32_t, kStreams> last_ = {};   // the bytes before, as in a trigram
  std::array<uint32_t, kStreams> count_ = {};  // how many of them the line has
  std::optional<OpenStretch> before_;          // whose lines may still go on
  std::optional<OpenStretch> now_;
  std::vector<Stretch> done_;
};

std::string EncodeStretches(const std::vector<Stretch>& stretches);
// Nothing when they are damaged.
std::optional<std::vector<Stretch>> DecodeStretches(absl::string_view bytes);

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_TEXT_FILTER_H_
