#ifndef IMAGE_SERVICE_STORE_STORED_MESSAGES_H_
#define IMAGE_SERVICE_STORE_STORED_MESSAGES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/ports/metadata_store.h"

// Between the domain's records and the messages of slipway/storage/v1/image.proto. `key` is what
// follows the key's prefix. Decoding fails with DataLoss. Pure functions.
namespace slipway::image {

std::string EncodeImage(const ImageRecord& record);
std::string EncodeLayer(const Layer& layer);
std::string EncodeReference(const Digest& image);
std::string EncodeOwner(const std::vector<Digest>& images);
std::string EncodeEvent(const ImageEvent& event);
std::string EncodeCleanShutdown(const std::string& boot_id);

absl::StatusOr<ImageRecord> DecodeImage(absl::string_view key, absl::string_view value);
absl::StatusOr<Layer> DecodeLayer(absl::string_view key, absl::string_view value);
absl::StatusOr<Digest> DecodeReference(absl::string_view value);
absl::StatusOr<std::string> DecodeCleanShutdown(absl::string_view value);
absl::StatusOr<std::vector<Digest>> DecodeOwner(absl::string_view value);
absl::StatusOr<ImageEvent> DecodeEvent(uint64_t sequence, absl::string_view value);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_STORE_STORED_MESSAGES_H_
