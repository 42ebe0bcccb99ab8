#include "services/log/store/crc32c.h"

#include <isa-l/crc.h>

namespace slipway::log {

uint32_t Crc32c(absl::string_view data, uint32_t previous) {
  // ISA-L leaves the inversions to its caller and does not write through the pointer.
  auto* bytes = reinterpret_cast<unsigned char*>(const_cast<char*>(data.data()));
  return ~crc32_iscsi(bytes, static_cast<int>(data.size()), ~previous);
}

}  // namespace slipway::log
