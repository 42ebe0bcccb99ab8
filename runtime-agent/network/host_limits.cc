#include "runtime-agent/network/host_limits.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/os/file.h"

namespace slipway::agent {
namespace {

struct Limit {
  const char* file;
  int least;
};

constexpr Limit kLimits[] = {
    {"net/core/netdev_max_backlog", 65536},       {"net/ipv4/neigh/default/gc_thresh3", 65536},
    {"net/ipv4/neigh/default/gc_thresh2", 32768}, {"net/ipv6/neigh/default/gc_thresh3", 65536},
    {"net/ipv6/neigh/default/gc_thresh2", 32768},
};

}  // namespace

void RaiseHostLimits(const std::string& sysctls) {
  for (const Limit& limit : kLimits) {
    const std::string path = absl::StrCat(sysctls, "/", limit.file);
    const auto text = ReadFile(path, 64);
    int present = 0;
    if (!text.ok() || !absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &present)) continue;
    // Best effort: a host that does not let us keeps its own.
    if (present < limit.least) WriteKernelFile(path, absl::StrCat(limit.least)).IgnoreError();
  }
}

}  // namespace slipway::agent
