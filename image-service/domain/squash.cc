// Several layers of an image become one, with the history that dockerd writes then.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "image-service/domain/commit.h"
#include "image-service/domain/commit_draft.h"
#include "image-service/layer/merged_layer.h"

namespace slipway::image {

absl::StatusOr<LayerLease> Committer::MergeLayers(const std::vector<LayerLease>& layers) {
  std::vector<std::string> paths;
  for (const LayerLease& lease : layers) {
    if (lease.layer().opaque_root) paths.clear();
    paths.push_back(parts_.content.LayerPath(lease.layer().diff_id));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<LayerIntake> intake,
                   LayerIntake::CreateSplit(parts_, /*any_compression=*/false));
  RETURN_IF_ERROR(WriteMergedLayer(
      paths, [&intake](absl::string_view bytes) { return intake->Append(bytes); }));
  return intake->Commit(Digest(), "");
}

absl::StatusOr<Digest> Committer::Squash(const SquashCommand& command) {
  ASSIGN_OR_RETURN(const ImageView view, parts_.catalog.Get(command.image));
  const Image& image = *view.image;
  CommitCommand commit;
  commit.parent = command.ancestor;
  commit.platform = image.description.platform;
  commit.config = image.description.config;
  commit.author = image.description.author;
  commit.hold = command.hold;
  Draft draft;
  RETURN_IF_ERROR(TakeParent(commit, draft));
  const size_t below = draft.leases.size();
  const bool descends = below <= image.layers.size() &&
                        std::equal(draft.leases.begin(), draft.leases.end(), image.layers.begin(),
                                   [](const LayerLease& lease, const Layer& layer) {
                                     return lease.layer().diff_id == layer.diff_id;
                                   });
  if (!descends) {
    return absl::FailedPreconditionError(
        absl::StrCat("image ", command.image, " was not made on ", command.ancestor));
  }
  std::vector<LayerLease> merged;
  for (size_t i = below; i < image.layers.size(); ++i) {
    std::optional<LayerLease> lease = parts_.catalog.LeaseLayer(image.layers[i].blob);
    if (!lease.has_value()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "layer ", image.layers[i].blob.ToString(), " of ", command.image, " is damaged or gone"));
    }
    merged.push_back(*std::move(lease));
  }
  const size_t old_entries = draft.history.size();
  draft.history = image.description.history;
  for (size_t i = old_entries; i < draft.history.size(); ++i) draft.history[i].empty_layer = true;
  HistoryEntry entry;
  entry.created_unix_ns =
      command.created_unix_ns != 0 ? command.created_unix_ns : absl::GetCurrentTimeNanos();
  entry.comment = command.ancestor.empty() ? absl::StrCat("create new from ", image.id.ToString())
                                           : absl::StrCat("merge ", image.id.ToString(), " to ",
                                                          draft.parent.ToString());
  entry.empty_layer = merged.empty();
  draft.history.push_back(std::move(entry));
  if (!merged.empty()) {
    ASSIGN_OR_RETURN(LayerLease layer, MergeLayers(merged));
    draft.AddLayer(std::move(layer));
  }
  return Put(commit, std::move(draft));
}

}  // namespace slipway::image
