#ifndef SERVICES_CONTAINER_PORTS_TAR_SINK_H_
#define SERVICES_CONTAINER_PORTS_TAR_SINK_H_

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace slipway::container {

// A part of a tar on its way from a host to the image service.
struct TarPiece {
  std::string bytes;
  // Instead of bytes: what the image service knows a pipe by, from which it gets the rest.
  std::string pipe;
};

// Takes the pieces of a tar in order; an error stops who produces them.
using TarSink = std::function<absl::Status(TarPiece)>;

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_PORTS_TAR_SINK_H_
