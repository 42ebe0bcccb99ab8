#include "runtime-agent/oci/json_reader.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace slipway::agent {
namespace {

namespace json = boost::json;

std::string ToString(const json::string& text) { return std::string(text.data(), text.size()); }

bool IsText(const json::value& value) {
  // What goes to the kernel ends at a NUL: a text with one inside would be cut silently.
  return value.is_string() && value.get_string().find('\0') == json::string::npos;
}

}  // namespace

absl::StatusOr<json::value> ParseJson(absl::string_view text, size_t limit_bytes) {
  if (text.size() > limit_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the JSON document is larger than ", limit_bytes, " bytes"));
  }
  json::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("not JSON: ", error.message()));
  if (!value.is_object()) return absl::InvalidArgumentError("the JSON document is not an object");
  return value;
}

JsonReader::JsonReader(const json::value* value, std::string path, absl::Status* error)
    : path_(std::move(path)), error_(error) {
  if (value == nullptr || value->is_null()) return;
  if (value->is_object()) {
    object_ = &value->get_object();
  } else {
    Wrong("", "is not an object");
  }
}

std::string JsonReader::PathOf(absl::string_view key) const {
  if (key.empty()) return path_;
  return path_.empty() ? std::string(key) : absl::StrCat(path_, ".", key);
}

void JsonReader::Wrong(absl::string_view key, absl::string_view why) const {
  error_->Update(absl::InvalidArgumentError(absl::StrCat(PathOf(key), " ", why)));
}

void JsonReader::Refuse(absl::string_view key, absl::string_view why) const {
  error_->Update(absl::UnimplementedError(absl::StrCat(PathOf(key), ": ", why)));
}

const json::value* JsonReader::Find(absl::string_view key) const {
  if (object_ == nullptr) return nullptr;
  const json::value* value = object_->if_contains(json::string_view(key.data(), key.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string JsonReader::Text(absl::string_view key) const {
  const json::value* value = Find(key);
  if (value == nullptr) return "";
  if (!IsText(*value)) return Wrong(key, "is not a text"), "";
  return ToString(value->get_string());
}

bool JsonReader::Flag(absl::string_view key) const {
  const json::value* value = Find(key);
  if (value == nullptr) return false;
  if (!value->is_bool()) return Wrong(key, "is neither true nor false"), false;
  return value->get_bool();
}

int64_t JsonReader::Number(absl::string_view key, int64_t fallback) const {
  const json::value* value = Find(key);
  if (value == nullptr) return fallback;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64()) {
    // What the kernel calls unlimited does not fit an int64 (rlimits: RLIM_INFINITY).
    return static_cast<int64_t>(value->get_uint64());
  }
  if (value->is_double()) {
    const double number = value->get_double();
    if (std::floor(number) == number && std::abs(number) < 9e18) {
      return static_cast<int64_t>(number);
    }
  }
  return Wrong(key, "is not a whole number"), fallback;
}

std::vector<std::string> JsonReader::Texts(absl::string_view key) const {
  std::vector<std::string> texts;
  const json::value* value = Find(key);
  if (value == nullptr) return texts;
  if (!value->is_array()) return Wrong(key, "is not a list"), texts;
  for (const json::value& entry : value->get_array()) {
    if (!IsText(entry)) return Wrong(key, "is not a list of texts"), texts;
    texts.push_back(ToString(entry.get_string()));
  }
  return texts;
}

std::vector<std::pair<std::string, std::string>> JsonReader::TextMap(absl::string_view key) const {
  std::vector<std::pair<std::string, std::string>> texts;
  const json::value* value = Find(key);
  if (value == nullptr) return texts;
  if (!value->is_object()) return Wrong(key, "is not an object"), texts;
  for (const auto& entry : value->get_object()) {
    if (!IsText(entry.value())) return Wrong(key, "has a value that is not a text"), texts;
    texts.emplace_back(std::string(entry.key().data(), entry.key().size()),
                       ToString(entry.value().get_string()));
  }
  return texts;
}

std::vector<uint32_t> JsonReader::Numbers(absl::string_view key) const {
  std::vector<uint32_t> numbers;
  const json::value* value = Find(key);
  if (value == nullptr) return numbers;
  if (!value->is_array()) return Wrong(key, "is not a list"), numbers;
  for (const json::value& entry : value->get_array()) {
    const bool fits = entry.is_int64() && entry.get_int64() >= 0 &&
                      entry.get_int64() <= std::numeric_limits<uint32_t>::max();
    if (!fits) return Wrong(key, "is not a list of ids"), numbers;
    numbers.push_back(static_cast<uint32_t>(entry.get_int64()));
  }
  return numbers;
}

JsonReader JsonReader::Object(absl::string_view key) const {
  return JsonReader(Find(key), PathOf(key), error_);
}

std::vector<JsonReader> JsonReader::Objects(absl::string_view key) const {
  std::vector<JsonReader> objects;
  const json::value* value = Find(key);
  if (value == nullptr) return objects;
  if (!value->is_array()) return Wrong(key, "is not a list"), objects;
  for (const json::value& entry : value->get_array()) {
    objects.emplace_back(&entry, absl::StrCat(PathOf(key), "[", objects.size(), "]"), error_);
  }
  return objects;
}

std::string JsonReader::Raw(absl::string_view key) const {
  const json::value* value = Find(key);
  return value == nullptr ? "" : json::serialize(*value);
}

}  // namespace slipway::agent
