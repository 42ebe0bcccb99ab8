#ifndef GATEWAY_DOCKER_JSON_FIELDS_H_
#define GATEWAY_DOCKER_JSON_FIELDS_H_

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipway::gateway {

// Reads members of a client's JSON object as Go's encoding/json would: names match without regard
// to case, null is absence, a wrong type is an error. The first error sticks, so that a caller
// reads everything and asks status() once. Borrows the object. Not thread-safe.
class JsonFields {
 public:
  // `where` names the object in errors: "HostConfig".
  JsonFields(const boost::json::object& object, absl::string_view where)
      : object_(&object), where_(where) {}

  const absl::Status& status() const { return status_; }
  // Takes over another reader's error.
  void Join(const absl::Status& status) {
    if (status_.ok()) status_ = status;
  }

  // Null where the member is absent or null.
  const boost::json::value* Find(absl::string_view name) const;

  std::string String(absl::string_view name);
  bool Bool(absl::string_view name);
  int64_t Int(absl::string_view name, int64_t fallback = 0);
  std::optional<int64_t> OptionalInt(absl::string_view name);
  std::vector<std::string> Strings(absl::string_view name);
  // A list of strings, or one string.
  std::optional<std::vector<std::string>> Words(absl::string_view name);
  std::map<std::string, std::string> StringMap(absl::string_view name);
  // The names of an object's members ({"80/tcp": {}}).
  std::vector<std::string> Keys(absl::string_view name);
  const boost::json::object* Object(absl::string_view name);
  const boost::json::array* Array(absl::string_view name);

  // Records an Unimplemented error for each of these that is not at its default.
  void Refuse(absl::string_view name);
  // Records an error of this object's member.
  void Fail(absl::string_view name, absl::string_view what);

  std::string PathOf(absl::string_view name) const;

 private:
  void WrongType(absl::string_view name, absl::string_view expected);

  const boost::json::object* object_;
  std::string where_;
  absl::Status status_;
};

// Whether a value means nothing: null, false, 0, "", [], {}, and structures of such.
bool IsZero(const boost::json::value& value);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_JSON_FIELDS_H_
