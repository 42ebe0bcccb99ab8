#include "image-service/oci/bounded_json.h"

#include <boost/json/parse.hpp>
#include <boost/json/static_resource.hpp>
#include <exception>
#include <new>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxMemoryBytes = 24 << 20;
constexpr size_t kMaxItems = 65536;

// The heap, up to a limit.
class BoundedMemory : public json::memory_resource {
 private:
  void* do_allocate(size_t bytes, size_t alignment) override {
    if (bytes > kMaxMemoryBytes - used_) throw std::bad_alloc();
    void* memory = ::operator new(bytes, std::align_val_t(alignment));
    used_ += bytes;
    return memory;
  }
  void do_deallocate(void* memory, size_t bytes, size_t alignment) override {
    used_ -= bytes;
    ::operator delete(memory, std::align_val_t(alignment));
  }
  bool do_is_equal(const json::memory_resource& other) const noexcept override {
    return this == &other;
  }
  size_t used_ = 0;
};

absl::Status WrongType(const char* name, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is not ", wanted));
}

const json::value* Find(const JsonObject& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

}  // namespace

absl::Status BoundedJson::Parse(absl::string_view text, absl::string_view what,
                                const std::function<absl::Status(const json::value&)>& use) {
  BoundedMemory memory;
  try {
    json::parse_options options;
    options.max_depth = kMaxDepth;
    boost::system::error_code error;
    const json::value document =
        json::parse(json::string_view(text.data(), text.size()), error, &memory, options);
    if (error) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " is not valid JSON: ", error.message()));
    }
    const absl::Status status = use(document);
    if (status.ok()) return status;
    return absl::Status(status.code(), absl::StrCat("invalid ", what, ": ", status.message()));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(what, " is too large to be parsed"));
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("invalid ", what, ": ", error.what()));
  }
}

absl::Status ReadString(const JsonObject& object, const char* name, std::string* out) {
  const json::value* value = Find(object, name);
  if (value == nullptr) return absl::OkStatus();
  const json::string* text = value->if_string();
  if (text == nullptr) return WrongType(name, "a string");
  out->assign(text->data(), text->size());
  return absl::OkStatus();
}

absl::Status ReadInt(const JsonObject& object, const char* name, int64_t* out) {
  const json::value* value = Find(object, name);
  if (value == nullptr) return absl::OkStatus();
  boost::system::error_code error;
  *out = value->to_number<int64_t>(error);
  if (error) return WrongType(name, "a whole number");
  return absl::OkStatus();
}

absl::Status ReadBool(const JsonObject& object, const char* name, bool* out) {
  const json::value* value = Find(object, name);
  if (value == nullptr) return absl::OkStatus();
  const bool* flag = value->if_bool();
  if (flag == nullptr) return WrongType(name, "true or false");
  *out = *flag;
  return absl::OkStatus();
}

absl::Status ReadStrings(const JsonObject& object, const char* name,
                         std::vector<std::string>* out) {
  ASSIGN_OR_RETURN(const json::array* array, FindArray(object, name));
  if (array == nullptr) return absl::OkStatus();
  if (array->size() > kMaxItems) return WrongType(name, "a list of reasonable length");
  for (const json::value& value : *array) {
    const json::string* text = value.if_string();
    if (text == nullptr) return WrongType(name, "a list of strings");
    out->emplace_back(text->data(), text->size());
  }
  return absl::OkStatus();
}

absl::Status ReadStringMap(const JsonObject& object, const char* name,
                           std::map<std::string, std::string>* out) {
  ASSIGN_OR_RETURN(const JsonObject* members, FindObject(object, name));
  if (members == nullptr) return absl::OkStatus();
  for (const auto& member : *members) {
    const json::string* text = member.value().if_string();
    if (text == nullptr) return WrongType(name, "a map of strings");
    (*out)[std::string(member.key())] = std::string(text->data(), text->size());
  }
  return absl::OkStatus();
}

absl::Status ReadNames(const JsonObject& object, const char* name, std::vector<std::string>* out) {
  ASSIGN_OR_RETURN(const JsonObject* members, FindObject(object, name));
  if (members == nullptr) return absl::OkStatus();
  for (const auto& member : *members) out->emplace_back(member.key());
  return absl::OkStatus();
}

absl::Status ReadTime(const JsonObject& object, const char* name, int64_t* unix_ns) {
  std::string text;
  RETURN_IF_ERROR(ReadString(object, name, &text));
  if (text.empty()) return absl::OkStatus();
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return WrongType(name, "an RFC 3339 time");
  }
  // Go's zero time, year 1, stands for none.
  if (time > absl::UnixEpoch()) *unix_ns = absl::ToUnixNanos(time);
  return absl::OkStatus();
}

absl::StatusOr<const JsonObject*> FindObject(const JsonObject& object, const char* name) {
  const json::value* value = Find(object, name);
  if (value == nullptr) return nullptr;
  const JsonObject* found = value->if_object();
  if (found == nullptr) return WrongType(name, "an object");
  return found;
}

absl::StatusOr<const json::array*> FindArray(const JsonObject& object, const char* name) {
  const json::value* value = Find(object, name);
  if (value == nullptr) return nullptr;
  const json::array* found = value->if_array();
  if (found == nullptr) return WrongType(name, "a list");
  return found;
}

}  // namespace slipway::image
