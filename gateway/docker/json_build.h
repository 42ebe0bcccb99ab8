#ifndef GATEWAY_DOCKER_JSON_BUILD_H_
#define GATEWAY_DOCKER_JSON_BUILD_H_

#include <google/protobuf/map.h>
#include <google/protobuf/repeated_field.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/storage_ptr.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace slipway::gateway {

inline boost::json::array StringArray(const google::protobuf::RepeatedPtrField<std::string>& list,
                                      boost::json::storage_ptr storage = {}) {
  boost::json::array out(std::move(storage));
  out.reserve(static_cast<size_t>(list.size()));
  for (const std::string& item : list) out.emplace_back(item);
  return out;
}

// `bytes` with U+FFFD for what is not UTF-8, as Go's encoding/json writes strings.
inline std::string ValidUtf8(absl::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const auto lead = static_cast<unsigned char>(bytes[0]);
    const size_t size = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    uint32_t point = size == 1 ? lead : lead & (0x7F >> size);
    bool valid = lead < 0x80 || (lead >= 0xC2 && lead <= 0xF4 && size <= bytes.size());
    for (size_t i = 1; valid && i < size; ++i) {
      const auto byte = static_cast<unsigned char>(bytes[i]);
      valid = (byte & 0xC0) == 0x80;
      point = point << 6 | (byte & 0x3F);
    }
    // No surrogates, nothing that is written longer than it must be, nothing past the last one.
    valid = valid && (size < 3 || point >= (size == 3 ? 0x800u : 0x10000u)) && point <= 0x10FFFF &&
            (point < 0xD800 || point > 0xDFFF);
    const absl::string_view piece = valid ? bytes.substr(0, size) : "\xEF\xBF\xBD";
    out.append(piece.data(), piece.size());
    bytes.remove_prefix(valid ? size : 1);
  }
  return out;
}

// In the order of the keys, as Go marshals maps.
inline boost::json::object StringMap(const google::protobuf::Map<std::string, std::string>& map,
                                     boost::json::storage_ptr storage = {}) {
  boost::json::object out(std::move(storage));
  for (const auto& [key, value] : std::map<std::string, std::string>(map.begin(), map.end())) {
    out.emplace(key, value);
  }
  return out;
}

// {"80/tcp": {}}
inline boost::json::object KeyObject(const google::protobuf::RepeatedPtrField<std::string>& list) {
  boost::json::object out;
  for (const std::string& item : list) out.emplace(item, boost::json::object());
  return out;
}

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_JSON_BUILD_H_
