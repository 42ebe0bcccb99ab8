#include "image-service/clients/mirrored_repository.h"

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"

namespace slipway::image {
namespace {

// Asks one place after the other.
template <typename Ask>
auto First(const std::vector<std::shared_ptr<RegistryRepository>>& places,
           const Cancellation& cancel, Ask ask) {
  for (size_t i = 0; i + 1 < places.size(); ++i) {
    auto answer = ask(*places[i]);
    if (answer.ok() || cancel.cancelled()) return answer;
    Log(LogLevel::kInfo, "a mirror does not have it; trying the next place",
        {{"mirror", absl::StrCat(i)}, {"error", std::string(answer.status().message())}});
  }
  return ask(*places.back());
}

}  // namespace

absl::StatusOr<FetchedManifest> MirroredRepository::FetchManifest(const ImageReference& reference,
                                                                  const Cancellation& cancel) {
  return First(places_, cancel,
               [&](RegistryRepository& place) { return place.FetchManifest(reference, cancel); });
}

absl::StatusOr<std::string> MirroredRepository::FetchBlob(const Digest& digest, int64_t limit_bytes,
                                                          const Cancellation& cancel) {
  return First(places_, cancel, [&](RegistryRepository& place) {
    return place.FetchBlob(digest, limit_bytes, cancel);
  });
}

absl::StatusOr<std::vector<std::string>> MirroredRepository::ListTags(const Cancellation& cancel) {
  return places_.back()->ListTags(cancel);
}

absl::Status MirroredRepository::DownloadBlob(
    const Digest& digest, int64_t offset, int64_t size_bytes,
    const std::function<absl::Status(absl::string_view)>& sink,
    const std::function<void()>& on_retry, const Cancellation& cancel) {
  absl::Status taken;
  const auto counting = [&](absl::string_view bytes) {
    taken = sink(bytes);
    if (taken.ok()) offset += static_cast<int64_t>(bytes.size());
    return taken;
  };
  absl::Status status;
  for (const std::shared_ptr<RegistryRepository>& place : places_) {
    status = place->DownloadBlob(digest, offset, size_bytes, counting, on_retry, cancel);
    // What the receiver does not take is no better elsewhere.
    if (status.ok() || !taken.ok() || cancel.cancelled()) return status;
  }
  return status;
}

}  // namespace slipway::image
