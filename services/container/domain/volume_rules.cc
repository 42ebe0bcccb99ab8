#include "services/container/domain/volume_rules.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status/status_macros.h"

namespace slipway::container {
namespace {

constexpr size_t kMaximumNameBytes = 255;
constexpr size_t kMaximumOptionBytes = 4096;  // a page, as mount(2) takes them

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

}  // namespace

absl::Status CheckVolumeName(absl::string_view name) {
  if (name.size() == 1) {
    return Bad("create ", name, ": volume name is too short, names should be at least two ",
               "alphanumeric characters");
  }
  const bool clean = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
  });
  if (clean && !name.empty() && absl::ascii_isalnum(static_cast<unsigned char>(name[0])) &&
      name.size() <= kMaximumNameBytes) {
    return absl::OkStatus();
  }
  return Bad("create ", name, ": \"", name,
             "\" includes invalid characters for a local volume name, only "
             "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host "
             "directory, use absolute path");
}

absl::StatusOr<int64_t> ParseRamBytes(absl::string_view text) {
  const absl::Status invalid = Bad("invalid size: '", text, "'");
  std::string number = absl::AsciiStrToLower(text);
  absl::string_view rest = number;
  absl::ConsumeSuffix(&rest, "b");
  absl::ConsumeSuffix(&rest, "i");
  double unit = 1;
  constexpr absl::string_view kUnits = "kmgtp";
  if (!rest.empty() && absl::StrContains(kUnits, rest.back())) {
    unit = std::pow(1024, static_cast<double>(kUnits.find(rest.back()) + 1));
    rest.remove_suffix(1);
  }
  rest = absl::StripTrailingAsciiWhitespace(rest);
  double value = 0;
  const bool digits = !rest.empty() && rest.find_first_not_of("0123456789.") == rest.npos;
  if (!digits || !absl::SimpleAtod(rest, &value) || value * unit > 9e18) return invalid;
  return static_cast<int64_t>(value * unit);
}

absl::StatusOr<VolumeSource> ParseVolumeOptions(const StringMap& options) {
  VolumeSource source;
  for (const auto& [key, value] : options) {
    if (value.size() > kMaximumOptionBytes ||
        std::any_of(value.begin(), value.end(), [](char c) { return c == '\0' || c == '\n'; })) {
      return Bad("invalid value of option \"", key, "\"");
    }
    if (key == "type") {
      source.type = value;
    } else if (key == "device") {
      source.device = value;
    } else if (key == "o") {
      source.mount_options = value;
    } else if (key == "size") {
      ASSIGN_OR_RETURN(source.size_bytes, ParseRamBytes(value));
    } else {
      return Bad("invalid option: \"", key, "\"");
    }
  }
  const auto needs = [&options](absl::string_view key, absl::string_view other) {
    return options.contains(std::string(key)) && !options.contains(std::string(other));
  };
  if (needs("type", "device") || needs("o", "device")) {
    return Bad("missing required option: \"device\"");
  }
  if (needs("device", "type") || needs("o", "type")) {
    return Bad("missing required option: \"type\"");
  }
  if (source.size_bytes != 0 && !source.type.empty()) {
    return Bad("conflicting options: \"size\" and \"type\"");
  }
  if (source.size_bytes != 0 && source.size_bytes < kMinimumVolumeBytes) {
    return Bad("invalid size: '", options.at("size"), "': a volume has at least ",
               kMinimumVolumeBytes, " bytes");
  }
  return source;
}

}  // namespace slipway::container
