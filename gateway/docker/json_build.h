#ifndef GATEWAY_DOCKER_JSON_BUILD_H_
#define GATEWAY_DOCKER_JSON_BUILD_H_

#include <google/protobuf/map.h>
#include <google/protobuf/repeated_field.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <map>
#include <string>

namespace slipway::gateway {

inline boost::json::array StringArray(const google::protobuf::RepeatedPtrField<std::string>& list) {
  boost::json::array out;
  out.reserve(static_cast<size_t>(list.size()));
  for (const std::string& item : list) out.emplace_back(item);
  return out;
}

// In the order of the keys, as Go marshals maps.
inline boost::json::object StringMap(const google::protobuf::Map<std::string, std::string>& map) {
  boost::json::object out;
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
