#include "services/log/domain/retention.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace slipway::log {
namespace {

// Of a segment without records.
constexpr uint64_t kEmptyBytes = 256;

}  // namespace

std::vector<StoredSegment> PlanRetention(std::vector<StoredSegment> segments, uint64_t total_bytes,
                                         int64_t oldest_unix_ns) {
  uint64_t total = 0;
  for (const StoredSegment& segment : segments) total += segment.size_bytes;
  std::sort(segments.begin(), segments.end(), [](const StoredSegment& a, const StoredSegment& b) {
    return std::tie(a.last_write_unix_ns, a.container_id, a.segment) <
           std::tie(b.last_write_unix_ns, b.container_id, b.segment);
  });
  std::vector<StoredSegment> victims;
  for (StoredSegment& segment : segments) {
    const bool old = segment.last_write_unix_ns < oldest_unix_ns;
    if (total <= total_bytes && !old) break;
    if (segment.last && (!old || segment.size_bytes <= kEmptyBytes)) continue;
    total -= segment.size_bytes;
    victims.push_back(std::move(segment));
  }
  return victims;
}

absl::StatusOr<uint64_t> ParseSize(absl::string_view text) {
  absl::string_view digits = absl::StripSuffix(absl::StripSuffix(text, "b"), "B");
  int shift = 0;
  if (!digits.empty()) {
    const size_t unit = absl::string_view("kmgtKMGT").find(digits.back());
    if (unit != absl::string_view::npos) {
      shift = 10 * (static_cast<int>(unit % 4) + 1);
      digits.remove_suffix(1);
    }
  }
  uint64_t value = 0;
  if (!absl::SimpleAtoi(digits, &value) || value > (~uint64_t{0} >> shift)) {
    return absl::InvalidArgumentError(absl::StrCat("invalid size: '", text, "'"));
  }
  return value << shift;
}

uint64_t KeptBytes(const LogDescription& description, uint64_t limit_bytes) {
  const auto size_option = description.options.find("max-size");
  if (size_option == description.options.end()) return limit_bytes;
  const auto size = ParseSize(size_option->second);
  if (!size.ok() || *size == 0) return limit_bytes;
  uint64_t files = description.driver == "json-file" ? 1 : 5;
  if (const auto option = description.options.find("max-file");
      option != description.options.end()) {
    uint64_t given = 0;
    if (absl::SimpleAtoi(option->second, &given) && given > 0) files = given;
  }
  if (*size > limit_bytes / files) return limit_bytes;
  return *size * files;
}

}  // namespace slipway::log
