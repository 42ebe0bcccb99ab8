#include "gateway/docker/progress.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/logging/logging.h"

namespace slipway::gateway {
namespace {

using slipway::image::v1::PullLayerProgress;

absl::string_view PhaseText(PullLayerProgress::Phase phase, bool loading) {
  switch (phase) {
    case PullLayerProgress::PHASE_PULLING_FS_LAYER:
      return "Pulling fs layer";
    case PullLayerProgress::PHASE_WAITING:
      return "Waiting";
    case PullLayerProgress::PHASE_DOWNLOADING:
      return loading ? "Loading layer" : "Downloading";
    case PullLayerProgress::PHASE_VERIFYING_CHECKSUM:
      return "Verifying Checksum";
    case PullLayerProgress::PHASE_DOWNLOAD_COMPLETE:
      return "Download complete";
    case PullLayerProgress::PHASE_EXTRACTING:
      return loading ? "Loading layer" : "Extracting";
    case PullLayerProgress::PHASE_PULL_COMPLETE:
      return loading ? "Loading layer" : "Pull complete";
    case PullLayerProgress::PHASE_ALREADY_EXISTS:
      return loading ? "Layer already exists" : "Already exists";
    case PullLayerProgress::PHASE_RETRYING:
      return "Retrying";
    case PullLayerProgress::PHASE_PREPARING:
      return "Preparing";
    case PullLayerProgress::PHASE_PUSHING:
      return "Pushing";
    case PullLayerProgress::PHASE_PUSHED:
      return "Pushed";
    case PullLayerProgress::PHASE_LAYER_ALREADY_EXISTS:
      return "Layer already exists";
    case PullLayerProgress::PHASE_MOUNTED:
      return "Mounted from";
    default:
      return "";
  }
}

bool HasBar(PullLayerProgress::Phase phase) {
  return phase == PullLayerProgress::PHASE_DOWNLOADING ||
         phase == PullLayerProgress::PHASE_EXTRACTING || phase == PullLayerProgress::PHASE_PUSHING;
}

std::string Quote(absl::string_view text) { return absl::StrCat("\"", JsonEscape(text), "\""); }

}  // namespace

std::string StatusMessage(absl::string_view status, absl::string_view id) {
  if (id.empty()) return absl::StrCat("{\"status\":", Quote(status), "}\r\n");
  return absl::StrCat("{\"status\":", Quote(status), ",\"id\":", Quote(id), "}\r\n");
}

std::string StreamMessage(absl::string_view text) {
  return absl::StrCat("{\"stream\":", Quote(text), "}\r\n");
}

std::string ErrorMessage(absl::string_view message) {
  return absl::StrCat("{\"errorDetail\":{\"message\":", Quote(message),
                      "},\"error\":", Quote(message), "}\r\n");
}

std::string LayerMessage(const PullLayerProgress& progress, bool loading) {
  const std::string text = absl::StrCat(PhaseText(progress.phase(), loading),
                                        progress.source().empty() ? "" : " ", progress.source());
  if (!HasBar(progress.phase())) {
    return absl::StrCat("{\"status\":", Quote(text),
                        ",\"progressDetail\":{},\"id\":", Quote(progress.id()), "}\r\n");
  }
  const int64_t total = progress.total_bytes();
  const std::string detail =
      total > 0 ? absl::StrCat("\"current\":", progress.current_bytes(), ",\"total\":", total)
                : absl::StrCat("\"current\":", progress.current_bytes());
  return absl::StrCat("{\"status\":", Quote(text), ",\"progressDetail\":{", detail,
                      "},\"progress\":", Quote(ProgressBar(progress.current_bytes(), total)),
                      ",\"id\":", Quote(progress.id()), "}\r\n");
}

std::string PushedMessages(absl::string_view tag, absl::string_view digest, int64_t size_bytes) {
  return absl::StrCat(StatusMessage(absl::StrCat(tag, ": digest: ", digest, " size: ", size_bytes)),
                      "{\"progressDetail\":{},\"aux\":{\"Tag\":", Quote(tag),
                      ",\"Digest\":", Quote(digest), ",\"Size\":", size_bytes, "}}\r\n");
}

std::string ProgressBar(int64_t current, int64_t total) {
  const std::string size = HumanSize(current);
  if (total <= 0) return absl::StrFormat("%8s", size);
  constexpr int kWidth = 50;
  const auto filled = static_cast<int>(
      std::clamp<double>(static_cast<double>(current) / static_cast<double>(total), 0, 1) * kWidth);
  std::string bar = absl::StrCat("[", std::string(static_cast<size_t>(filled), '='), ">",
                                 std::string(static_cast<size_t>(kWidth - filled), ' '), "]");
  return absl::StrCat(bar, absl::StrFormat("  %8s/%s", size, HumanSize(total)));
}

std::string HumanSize(int64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"B", "kB", "MB", "GB", "TB", "PB"};
  auto number = static_cast<double>(bytes);
  size_t unit = 0;
  while (number >= 1000 && unit + 1 < kUnits.size()) {
    number /= 1000;
    ++unit;
  }
  return absl::StrFormat("%.4g%s", number, kUnits[unit]);
}

}  // namespace slipway::gateway
