#include "runtime-agent/domain/rate.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace slipway::agent {
namespace {

constexpr double kSlowest = 1e3;
constexpr double kFastest = 1e12;

}  // namespace

absl::StatusOr<uint64_t> ParseRate(absl::string_view text) {
  const std::string lower = absl::AsciiStrToLower(text.substr(0, 64));
  absl::string_view rest = lower;
  double bytes_of_unit = 1.0 / 8;
  if (absl::ConsumeSuffix(&rest, "bps")) {
    bytes_of_unit = 1;
  } else {
    absl::ConsumeSuffix(&rest, "bit");
  }
  if (absl::ConsumeSuffix(&rest, "k")) {
    bytes_of_unit *= 1e3;
  } else if (absl::ConsumeSuffix(&rest, "m")) {
    bytes_of_unit *= 1e6;
  } else if (absl::ConsumeSuffix(&rest, "g")) {
    bytes_of_unit *= 1e9;
  }
  double number = 0;
  const bool digits = !rest.empty() && rest.find_first_not_of("0123456789.") == rest.npos;
  if (!digits || !absl::SimpleAtod(rest, &number) || number * bytes_of_unit < kSlowest ||
      number * bytes_of_unit > kFastest) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid rate \"", text.substr(0, 64), "\": \"10mbit\" is one"));
  }
  return static_cast<uint64_t>(number * bytes_of_unit);
}

}  // namespace slipway::agent
