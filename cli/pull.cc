#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/rpc/status_conversion.h"
#include "cli/context.h"
#include "cli/format.h"
#include "cli/terminal.h"

namespace slipway::cli {
namespace {

using image::v1::PullLayerProgress;

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
    default:
      return "";
  }
}

// A line for each layer: redrawn in place on a terminal, printed when its phase changes elsewhere.
class LayerLines {
 public:
  explicit LayerLines(bool terminal) : terminal_(terminal) {}

  void Update(const PullLayerProgress& progress) {
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

 private:
  static std::string Line(const PullLayerProgress& progress) {
    std::string line = absl::StrCat(progress.id(), ": ", PhaseText(progress.phase()));
    if (progress.total_bytes() > 0 && progress.current_bytes() > 0 &&
        progress.current_bytes() <= progress.total_bytes()) {
      const auto done = static_cast<size_t>(30 * progress.current_bytes() / progress.total_bytes());
      absl::StrAppend(&line, " [", std::string(done, '='), ">", std::string(30 - done, ' '), "] ",
                      HumanSize(progress.current_bytes()), "/", HumanSize(progress.total_bytes()));
    }
    return line;
  }

  const bool terminal_;
  std::vector<PullLayerProgress> layers_;
};

}  // namespace

absl::Status Pull(Context& context, const std::string& reference, bool quiet) {
  grpc::ClientContext call;
  image::v1::PullImageRequest request;
  request.set_reference(reference);
  auto stream = context.images().PullImage(&call, request);
  image::v1::PullImageResponse response;
  LayerLines lines(IsTerminal(STDERR_FILENO));
  while (stream->Read(&response)) {
    if (quiet) continue;
    if (response.has_status()) {
      std::fprintf(stderr, "%s%s%s\n", response.status().id().c_str(),
                   response.status().id().empty() ? "" : ": ", response.status().text().c_str());
    } else if (response.has_layer()) {
      lines.Update(response.layer());
    } else if (response.has_done()) {
      std::fprintf(stderr, "%s %s\n",
                   response.done().was_up_to_date() ? "Image is up to date for"
                                                    : "Downloaded newer image for",
                   response.done().reference().c_str());
    }
  }
  return FromGrpc(stream->Finish());
}

void AddPull(CLI::App& app, Context& context) {
  auto references = std::make_shared<std::vector<std::string>>();
  auto quiet = std::make_shared<bool>(false);
  CLI::App* pull = app.add_subcommand("pull", "Fetch images from a registry");
  pull->add_flag("-q,--quiet", *quiet, "no progress");
  pull->add_option("image", *references, "name[:tag|@digest]")->required();
  pull->final_callback([&context, references, quiet] {
    for (const std::string& reference : *references) {
      if (context.Check(Pull(context, reference, *quiet))) std::printf("%s\n", reference.c_str());
    }
  });
}

}  // namespace slipway::cli
