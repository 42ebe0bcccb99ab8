#ifndef SERVICES_CONTAINER_MODEL_VOLUME_H_
#define SERVICES_CONTAINER_MODEL_VOLUME_H_

#include <cstdint>
#include <memory>
#include <string>

#include "services/container/model/spec.h"

namespace slipway::container {

// One volume, as an immutable snapshot. Its directory is its host's.
struct Volume {
  std::string name;
  std::string driver = "local";
  StringMap labels;
  StringMap options;
  int64_t created_unix_ns = 0;
  std::string host_id;
  bool anonymous = false;  // its name was made up
  bool removing = false;   // intent: its host was, or is about to be, asked to remove it
  std::string made_for;    // the container whose create made it; empty: made by itself
};

// What the host needs to know of a volume's options.
struct VolumeSource {
  std::string type;
  std::string device;
  std::string mount_options;
  int64_t size_bytes = 0;  // zero: no limit

  bool plain() const { return type.empty() && size_bytes == 0; }
};

using VolumePtr = std::shared_ptr<const Volume>;

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_MODEL_VOLUME_H_
