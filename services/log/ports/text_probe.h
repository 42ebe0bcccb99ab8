#ifndef SERVICES_LOG_PORTS_TEXT_PROBE_H_
#define SERVICES_LOG_PORTS_TEXT_PROBE_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace slipway::log {

// Three bytes in a row, the first one highest; ASCII letters are lower case.
inline uint32_t LowerByte(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return value >= 'A' && value <= 'Z' ? value + ('a' - 'A') : value;
}
inline uint32_t TrigramOf(absl::string_view three) {
  return LowerByte(three[0]) << 16 | LowerByte(three[1]) << 8 | LowerByte(three[2]);
}

// What a search can say of lines by the trigrams that occur in them. Immutable; thread-safe.
class TextProbe {
 public:
  virtual ~TextProbe() = default;
  // False: it finds nothing in lines that have only trigrams which `has` accepts.
  virtual bool MayFind(absl::FunctionRef<bool(uint32_t trigram)> has) const = 0;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_PORTS_TEXT_PROBE_H_
