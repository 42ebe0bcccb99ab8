#ifndef SERVICES_CONTAINER_STORE_RECORD_CODEC_H_
#define SERVICES_CONTAINER_STORE_RECORD_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/container/model/container.h"
#include "services/container/model/event.h"
#include "services/container/model/network.h"
#include "services/container/model/volume.h"

// Records to the bytes of slipway.storage.v1 and back. DATA_LOSS for bytes that are no such
// message. Pure functions, thread-safe.
namespace slipway::container {

std::string EncodeDefinition(const Definition& definition);
absl::StatusOr<Definition> DecodeDefinition(absl::string_view bytes);

std::string EncodeState(const Container& container);
// Everything but the definition.
absl::StatusOr<Container> DecodeState(absl::string_view bytes);

std::string EncodeNetwork(const VirtualNetwork& network);
absl::StatusOr<VirtualNetwork> DecodeNetwork(absl::string_view bytes);
std::string EncodeVolume(const Volume& volume);
// Everything but the name.
absl::StatusOr<Volume> DecodeVolume(absl::string_view bytes);

std::string EncodeEvent(const Event& event);
// Everything but the sequence.
absl::StatusOr<Event> DecodeEvent(absl::string_view bytes);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_STORE_RECORD_CODEC_H_
