#include "runtime-agent/domain/capabilities.h"

#include <linux/capability.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

bool IsAll(absl::string_view name) {
  const std::string upper = absl::AsciiStrToUpper(name);
  return upper == "ALL" || upper == "CAP_ALL";
}

absl::StatusOr<uint64_t> ParseCapability(absl::string_view text) {
  std::string name = absl::AsciiStrToLower(text);
  if (!absl::StartsWith(name, "cap_")) name = absl::StrCat("cap_", name);
  cap_value_t number = 0;
  // Numbers, which cap_from_name also takes, are not Docker's.
  const bool word = name.size() > 4 && !absl::ascii_isdigit(static_cast<unsigned char>(name[4]));
  if (!word || cap_from_name(name.c_str(), &number) != 0 || number > 63) {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown capability: \"", absl::AsciiStrToUpper(name), "\""));
  }
  return Bit(number);
}

// The mask of a list; ALL is `all`.
absl::StatusOr<uint64_t> ParseList(absl::string_view option, const std::vector<std::string>& names,
                                   bool* has_all) {
  uint64_t mask = 0;
  for (const std::string& name : names) {
    if (IsAll(name)) {
      *has_all = true;
      continue;
    }
    const auto bit = ParseCapability(name);
    if (!bit.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("invalid ", option, ": ", bit.status().message()));
    }
    mask |= *bit;
  }
  return mask;
}

uint64_t KnownCapabilities() {
  const int count = cap_max_bits();
  return count >= 64 ? ~uint64_t{0} : Bit(count) - 1;
}

}  // namespace

uint64_t DefaultCapabilities() {
  return Bit(CAP_CHOWN) | Bit(CAP_DAC_OVERRIDE) | Bit(CAP_FSETID) | Bit(CAP_FOWNER) |
         Bit(CAP_MKNOD) | Bit(CAP_NET_RAW) | Bit(CAP_SETGID) | Bit(CAP_SETUID) | Bit(CAP_SETFCAP) |
         Bit(CAP_SETPCAP) | Bit(CAP_NET_BIND_SERVICE) | Bit(CAP_SYS_CHROOT) | Bit(CAP_KILL) |
         Bit(CAP_AUDIT_WRITE);
}

absl::StatusOr<uint64_t> OwnCapabilities() {
  ASSIGN_OR_RETURN(const std::string status, ReadFile("/proc/self/status", 64 << 10));
  uint64_t permitted = 0;
  uint64_t bounding = 0;
  for (absl::string_view line : absl::StrSplit(status, '\n')) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(":\t", 1));
    if (field.first == "CapPrm" && !absl::SimpleHexAtoi(field.second, &permitted)) permitted = 0;
    if (field.first == "CapBnd" && !absl::SimpleHexAtoi(field.second, &bounding)) bounding = 0;
  }
  return permitted & bounding;
}

absl::StatusOr<CapabilityGrant> ResolveCapabilities(const CapabilityRequest& request,
                                                    uint64_t available) {
  bool add_all = request.privileged;
  bool drop_all = false;
  ASSIGN_OR_RETURN(const uint64_t add, ParseList("CapAdd", request.add, &add_all));
  ASSIGN_OR_RETURN(const uint64_t drop, ParseList("CapDrop", request.drop, &drop_all));
  uint64_t wanted = DefaultCapabilities();
  if (request.privileged) {
    wanted = KnownCapabilities();
  } else if (add_all) {
    wanted = KnownCapabilities() & ~drop;
  } else if (drop_all) {
    wanted = add;
  } else {
    wanted = (wanted & ~drop) | add;
  }
  CapabilityGrant grant;
  grant.mask = wanted & available;
  const uint64_t missing = wanted & ~available;
  if (missing != 0) {
    grant.warnings.push_back(
        absl::StrCat("capabilities that this host's agent does not have itself were left out: ",
                     absl::StrJoin(CapabilityNames(missing), ", ")));
  }
  return grant;
}

std::string CapabilityName(int number) {
  char* name = cap_to_name(number);
  if (name == nullptr) return absl::StrCat("CAP_", number);
  std::string upper = absl::AsciiStrToUpper(name);
  cap_free(name);
  return upper;
}

std::vector<std::string> CapabilityNames(uint64_t mask) {
  std::vector<std::string> names;
  for (int number = 0; number < 64; ++number) {
    if ((mask & Bit(number)) != 0) names.push_back(CapabilityName(number));
  }
  return names;
}

}  // namespace slipway::agent
