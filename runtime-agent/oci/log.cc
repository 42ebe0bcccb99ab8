#include "runtime-agent/oci/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/logging/logging.h"
#include "base/os/unique_fd.h"

namespace slipway::agent {
namespace {

struct Target {
  std::string path;
  bool json = false;
};

Target& TheTarget() {
  static Target target;
  return target;
}

}  // namespace

void SetRuntimeLog(const std::string& path, bool json) { TheTarget() = {path, json}; }

void RuntimeLog(absl::string_view level, absl::string_view message) {
  const Target& target = TheTarget();
  if (level == "error" || target.path.empty()) {
    std::fprintf(stderr, "slipway-runtime: %.*s\n", static_cast<int>(message.size()),
                 message.data());
  }
  if (target.path.empty()) return;
  const std::string time = absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone());
  const std::string text = JsonEscape(message);
  const std::string line =
      target.json ? absl::StrCat("{\"level\":\"", level, "\",\"msg\":\"", text, "\",\"time\":\"",
                                 time, "\"}\n")
                  : absl::StrCat("time=\"", time, "\" level=", level, " msg=\"", text, "\"\n");
  const UniqueFd file(
      open(target.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644));
  if (file.ok() && write(file.get(), line.data(), line.size()) < 0) return;
}

}  // namespace slipway::agent
