#ifndef IMAGE_SERVICE_OCI_BOUNDED_JSON_H_
#define IMAGE_SERVICE_OCI_BOUNDED_JSON_H_

#include <boost/json/memory_resource.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::image {

// A document from a stranger, with bounded depth and memory, and typed access that names what is
// wrong. Members that are null count as absent, as Go's JSON has it. Not thread-safe.
class BoundedJson {
 public:
  // `what` names the document in errors ("manifest"). InvalidArgument for what is no JSON or not an
  // object or array; ResourceExhausted when it is too large.
  static absl::Status Parse(absl::string_view text, absl::string_view what,
                            const std::function<absl::Status(const boost::json::value&)>& use);
};

using JsonObject = boost::json::object;

// Members of an object; absent gives an empty value, a wrong type InvalidArgument naming the
// member.
absl::Status ReadString(const JsonObject& object, const char* name, std::string* out);
absl::Status ReadInt(const JsonObject& object, const char* name, int64_t* out);
absl::Status ReadBool(const JsonObject& object, const char* name, bool* out);
absl::Status ReadStrings(const JsonObject& object, const char* name, std::vector<std::string>* out);
absl::Status ReadStringMap(const JsonObject& object, const char* name,
                           std::map<std::string, std::string>* out);
// The names of an object used as a set.
absl::Status ReadNames(const JsonObject& object, const char* name, std::vector<std::string>* out);
// RFC 3339; 0 when absent or Go's zero time.
absl::Status ReadTime(const JsonObject& object, const char* name, int64_t* unix_ns);
// nullptr when absent.
absl::StatusOr<const JsonObject*> FindObject(const JsonObject& object, const char* name);
absl::StatusOr<const boost::json::array*> FindArray(const JsonObject& object, const char* name);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_OCI_BOUNDED_JSON_H_
