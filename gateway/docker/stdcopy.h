#ifndef GATEWAY_DOCKER_STDCOPY_H_
#define GATEWAY_DOCKER_STDCOPY_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "slipway/common/v1/common.pb.h"

// Docker's multiplexed stream (Engine API, ContainerAttach, "Stream format"): a frame is
// {stream, 0, 0, 0, size as 4 bytes big-endian} and the bytes. Pure.
namespace slipway::gateway {

inline constexpr absl::string_view kRawStream = "application/vnd.docker.raw-stream";
inline constexpr absl::string_view kMultiplexedStream = "application/vnd.docker.multiplexed-stream";

enum class Framing { kRaw, kMultiplexed };

// Appends `data` as one frame, or as it is. Empty data append nothing.
void AppendFrame(Framing framing, slipway::common::v1::StdStream stream, absl::string_view data,
                 std::string& out);

// The same for a piece that was put together from two: `head` (a time stamp) and `data`.
void AppendFrame(Framing framing, slipway::common::v1::StdStream stream, absl::string_view head,
                 absl::string_view data, std::string& out);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_STDCOPY_H_
