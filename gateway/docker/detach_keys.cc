#include "gateway/docker/detach_keys.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace slipway::gateway {
namespace {

constexpr absl::string_view kDefault = "ctrl-p,ctrl-q";

// The byte of one key, or -1.
int ByteOf(absl::string_view key) {
  if (key.size() == 1) return static_cast<unsigned char>(key[0]);
  if (!absl::ConsumePrefix(&key, "ctrl-") || key.size() != 1) return -1;
  const char letter = absl::ascii_tolower(key[0]);
  if (letter >= 'a' && letter <= 'z') return letter - 'a' + 1;
  constexpr absl::string_view kOthers = "[\\]^_";
  const size_t found = kOthers.find(letter);
  if (found != absl::string_view::npos) return 27 + static_cast<int>(found);
  return letter == '@' ? 0 : -1;
}

}  // namespace

absl::StatusOr<std::string> ParseDetachKeys(absl::string_view text) {
  std::string bytes;
  for (const absl::string_view key : absl::StrSplit(text.empty() ? kDefault : text, ',')) {
    const int byte = ByteOf(key);
    if (byte < 0) {
      return absl::InvalidArgumentError(absl::StrCat("Invalid detach keys (", text, ") provided"));
    }
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

bool DetachScanner::Scan(std::string& data) {
  if (keys_.empty()) return false;
  std::string out;
  out.reserve(data.size() + matched_);
  for (const char byte : data) {
    if (byte != keys_[matched_] && matched_ > 0) {
      out.append(keys_, 0, std::exchange(matched_, 0));
    }
    if (byte != keys_[matched_]) {
      out.push_back(byte);
    } else if (++matched_ == keys_.size()) {
      data = std::move(out);
      return true;
    }
  }
  data = std::move(out);
  return false;
}

}  // namespace slipway::gateway
