#include "cli/layer_lines.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "cli/format.h"

namespace slipway::cli {

using image::v1::PullLayerProgress;

namespace {

const char* PhaseText(PullLayerProgress::Phase phase) {
  switch (phase) {
    case PullLayerProgress::PHASE_PULLING_FS_LAYER:
      return "Pulling fs layer";
    case PullLayerProgress::PHASE_WAITING:
      return "Waiting";
    case PullLayerProgress::PHASE_DOWNLOADING:
      return "Downloading";
    case PullLayerProgress::PHASE_VERIFYING_CHECKSUM:
      return "Verifying Checksum";
    case PullLayerProgress::PHASE_DOWNLOAD_COMPLETE:
      return "Download complete";
    case PullLayerProgress::PHASE_EXTRACTING:
      return "Extracting";
    case PullLayerProgress::PHASE_PULL_COMPLETE:
      return "Pull complete";
    case PullLayerProgress::PHASE_ALREADY_EXISTS:
      return "Already exists";
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
      return "Mounted";
    default:
      return "";
  }
}

}  // namespace

void LayerLines::Update(const PullLayerProgress& progress) {
  auto found = std::find_if(layers_.begin(), layers_.end(),
                            [&](const auto& layer) { return layer.id() == progress.id(); });
  const bool is_new = found == layers_.end();
  const bool changed = is_new || found->phase() != progress.phase();
  if (is_new) {
    layers_.push_back(progress);
    found = layers_.end() - 1;
  } else {
    *found = progress;
  }
  if (!terminal_) {
    if (changed)
      std::fprintf(stderr, "%s: %s\n", progress.id().c_str(), PhaseText(progress.phase()));
    return;
  }
  if (is_new) {
    std::fprintf(stderr, "%s\n", Line(progress).c_str());
    return;
  }
  const int up = static_cast<int>(layers_.end() - found);
  std::fprintf(stderr, "\x1b[%dA\r\x1b[2K%s\x1b[%dB\r", up, Line(progress).c_str(), up);
}

std::string LayerLines::Line(const PullLayerProgress& progress) {
  std::string line = absl::StrCat(progress.id(), ": ", PhaseText(progress.phase()));
  if (progress.total_bytes() > 0 && progress.current_bytes() > 0 &&
      progress.current_bytes() <= progress.total_bytes()) {
    const auto done = static_cast<size_t>(30 * progress.current_bytes() / progress.total_bytes());
    absl::StrAppend(&line, " [", std::string(done, '='), ">", std::string(30 - done, ' '), "] ",
                    HumanSize(progress.current_bytes()), "/", HumanSize(progress.total_bytes()));
  }
  return line;
}

}  // namespace slipway::cli
