#include "image-service/layer/time_clamp.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

// POSIX.1-2017, pax, "ustar Interchange Format".
constexpr size_t kBlockBytes = 512;
constexpr size_t kSizeAt = 124;
constexpr size_t kMtimeAt = 136;
constexpr size_t kNumberBytes = 12;
constexpr size_t kChecksumAt = 148;
constexpr size_t kChecksumBytes = 8;
constexpr size_t kTypeAt = 156;
constexpr uint64_t kMaxPaxBytes = 1 << 20;

uint64_t Padded(uint64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes; }

// Octal, or GNU's base 256.
int64_t ReadNumber(const char* field) {
  int64_t value = 0;
  if (field[0] & '\x80') {
    value = field[0] & 0x3f;
    for (size_t i = 1; i < kNumberBytes; ++i) {
      value = static_cast<int64_t>(static_cast<uint64_t>(value) << 8) |
              static_cast<unsigned char>(field[i]);
    }
    return value;
  }
  for (size_t i = 0; i < kNumberBytes && field[i] != '\0'; ++i) {
    if (field[i] >= '0' && field[i] <= '7') value = value * 8 + (field[i] - '0');
  }
  return value;
}

// The seconds of "<seconds>[.<fraction>]" made `latest`, in as many characters.
void ClampDecimal(char* text, size_t size, int64_t latest_s) {
  const absl::string_view value(text, size);
  const size_t point = std::min(value.find('.'), size);
  int64_t seconds = 0;
  if (!absl::SimpleAtoi(value.substr(0, point), &seconds) || seconds < latest_s) return;
  if (seconds == latest_s && point == size) return;
  char digits[32];
  const int written = std::snprintf(digits, sizeof(digits), "%0*lld", static_cast<int>(point),
                                    static_cast<long long>(latest_s));
  if (written != static_cast<int>(point)) return;
  memcpy(text, digits, point);
  if (point < size) memset(text + point + 1, '0', size - point - 1);
}

}  // namespace

absl::Status TimeClamp::Append(absl::string_view bytes) {
  while (!bytes.empty()) {
    if (part_ == Part::kBody) {
      const size_t n = std::min<uint64_t>(body_left_, bytes.size());
      RETURN_IF_ERROR(sink_(bytes.substr(0, n)));
      bytes.remove_prefix(n);
      body_left_ -= n;
      if (body_left_ == 0) part_ = Part::kHeader;
      continue;
    }
    const size_t n = std::min<uint64_t>(wanted_ - block_.size(), bytes.size());
    block_.append(bytes.data(), n);
    bytes.remove_prefix(n);
    if (block_.size() < wanted_) return absl::OkStatus();
    RETURN_IF_ERROR(part_ == Part::kHeader ? TakeHeader() : TakePaxBody());
  }
  return absl::OkStatus();
}

absl::Status TimeClamp::Emit() {
  const absl::Status status = sink_(block_);
  block_.clear();
  return status;
}

absl::Status TimeClamp::TakeHeader() {
  const char type = block_[kTypeAt];
  int64_t size = ReadNumber(block_.data() + kSizeAt);
  const bool is_zero = block_.find_first_not_of('\0') == std::string::npos;
  if (is_zero) return Emit();
  if (ReadNumber(block_.data() + kMtimeAt) > latest_s_) {
    std::snprintf(&block_[kMtimeAt], kNumberBytes, "%011llo", static_cast<long long>(latest_s_));
    memset(&block_[kChecksumAt], ' ', kChecksumBytes);
    const unsigned sum = std::accumulate(block_.begin(), block_.end(), 0u, [](unsigned s, char c) {
      return s + static_cast<unsigned char>(c);
    });
    std::snprintf(&block_[kChecksumAt], kChecksumBytes, "%06o", sum);
    block_[kChecksumAt + 7] = ' ';
  }
  RETURN_IF_ERROR(Emit());
  const bool is_pax = type == 'x' || type == 'g';
  if (!is_pax && type != 'L' && type != 'K' && pax_size_ >= 0) size = std::exchange(pax_size_, -1);
  const bool has_body = type == '0' || type == '\0' || type == '7' || type == 'S' || is_pax ||
                        type == 'L' || type == 'K';
  if (!has_body || size <= 0) return absl::OkStatus();
  const uint64_t padded = Padded(static_cast<uint64_t>(size));
  if (is_pax && padded <= kMaxPaxBytes) {
    part_ = Part::kPaxBody;
    wanted_ = padded;
  } else {
    part_ = Part::kBody;
    body_left_ = padded;
  }
  return absl::OkStatus();
}

// "<length> <name>=<value>\n" each.
absl::Status TimeClamp::TakePaxBody() {
  size_t at = 0;
  while (at < block_.size()) {
    const size_t space = block_.find(' ', at);
    size_t length = 0;
    if (space == std::string::npos ||
        !absl::SimpleAtoi(absl::string_view(block_).substr(at, space - at), &length) ||
        length <= space - at + 2 || length > block_.size() - at) {
      break;
    }
    const absl::string_view record(block_.data() + space + 1, length - (space - at) - 2);
    const size_t equals = record.find('=');
    if (equals != absl::string_view::npos) {
      const absl::string_view name = record.substr(0, equals);
      char* value = &block_[space + 1 + equals + 1];
      const size_t size = record.size() - equals - 1;
      if (name == "mtime" || name == "atime" || name == "ctime") {
        ClampDecimal(value, size, latest_s_);
      } else if (name == "size") {
        if (!absl::SimpleAtoi(absl::string_view(value, size), &pax_size_)) pax_size_ = -1;
      }
    }
    at += length;
  }
  part_ = Part::kHeader;
  wanted_ = kBlockBytes;
  return Emit();
}

}  // namespace slipway::image
