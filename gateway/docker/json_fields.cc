#include "gateway/docker/json_fields.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;

absl::string_view View(const json::string& text) {
  return absl::string_view(text.data(), text.size());
}

std::string Copy(const json::string& text) { return std::string(text.data(), text.size()); }

// The whole number in a JSON value (1e9 and 3.0 count); nothing for anything else.
std::optional<int64_t> AsInt(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_uint64()) return std::nullopt;
  if (!value.is_double()) return std::nullopt;
  const double number = value.get_double();
  if (number < -9.2e18 || number > 9.2e18 ||
      number != static_cast<double>(static_cast<int64_t>(number))) {
    return std::nullopt;
  }
  return static_cast<int64_t>(number);
}

}  // namespace

const json::value* JsonFields::Find(absl::string_view name) const {
  const json::value* found = object_->if_contains(json::string_view(name.data(), name.size()));
  if (found == nullptr) {
    for (const auto& member : *object_) {
      if (absl::EqualsIgnoreCase(absl::string_view(member.key().data(), member.key().size()),
                                 name)) {
        found = &member.value();
      }
    }
  }
  return found == nullptr || found->is_null() ? nullptr : found;
}

std::string JsonFields::PathOf(absl::string_view name) const {
  return where_.empty() ? std::string(name) : absl::StrCat(where_, ".", name);
}

void JsonFields::Fail(absl::string_view name, absl::string_view what) {
  Join(absl::InvalidArgumentError(absl::StrCat("invalid ", PathOf(name), ": ", what)));
}

void JsonFields::WrongType(absl::string_view name, absl::string_view expected) {
  Join(absl::InvalidArgumentError(
      absl::StrCat("invalid JSON: ", PathOf(name), " must be ", expected)));
}

void JsonFields::Refuse(absl::string_view name) {
  const json::value* value = Find(name);
  if (value == nullptr || IsZero(*value)) return;
  Join(absl::UnimplementedError(absl::StrCat("option ", PathOf(name), " is not supported")));
}

std::string JsonFields::String(absl::string_view name) {
  const json::value* value = Find(name);
  if (value == nullptr) return "";
  if (!value->is_string()) {
    WrongType(name, "a string");
    return "";
  }
  return Copy(value->get_string());
}

bool JsonFields::Bool(absl::string_view name) {
  const json::value* value = Find(name);
  if (value == nullptr) return false;
  if (!value->is_bool()) {
    WrongType(name, "a boolean");
    return false;
  }
  return value->get_bool();
}

int64_t JsonFields::Int(absl::string_view name, int64_t fallback) {
  return OptionalInt(name).value_or(fallback);
}

std::optional<int64_t> JsonFields::OptionalInt(absl::string_view name) {
  const json::value* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const std::optional<int64_t> number = AsInt(*value);
  if (!number) WrongType(name, "an integer");
  return number;
}

std::vector<std::string> JsonFields::Strings(absl::string_view name) {
  std::vector<std::string> all;
  const json::array* array = Array(name);
  if (array == nullptr) return all;
  for (const json::value& item : *array) {
    if (!item.is_string()) {
      WrongType(name, "a list of strings");
      return {};
    }
    all.push_back(Copy(item.get_string()));
  }
  return all;
}

std::optional<std::vector<std::string>> JsonFields::Words(absl::string_view name) {
  const json::value* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return std::vector<std::string>{Copy(value->get_string())};
  return Strings(name);
}

std::map<std::string, std::string> JsonFields::StringMap(absl::string_view name) {
  std::map<std::string, std::string> all;
  const json::object* object = Object(name);
  if (object == nullptr) return all;
  for (const auto& member : *object) {
    if (!member.value().is_string() && !member.value().is_null()) {
      WrongType(name, "an object of strings");
      return {};
    }
    all[std::string(member.key())] =
        member.value().is_null() ? "" : Copy(member.value().get_string());
  }
  return all;
}

std::vector<std::string> JsonFields::Keys(absl::string_view name) {
  std::vector<std::string> all;
  const json::object* object = Object(name);
  if (object == nullptr) return all;
  for (const auto& member : *object) all.emplace_back(member.key());
  std::sort(all.begin(), all.end());
  return all;
}

const json::object* JsonFields::Object(absl::string_view name) {
  const json::value* value = Find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) WrongType(name, "an object");
  return value->if_object();
}

const json::array* JsonFields::Array(absl::string_view name) {
  const json::value* value = Find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) WrongType(name, "a list");
  return value->if_array();
}

bool IsZero(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return true;
    case json::kind::bool_:
      return !value.get_bool();
    case json::kind::int64:
      return value.get_int64() == 0;
    case json::kind::uint64:
      return value.get_uint64() == 0;
    case json::kind::double_:
      return value.get_double() == 0;
    case json::kind::string:
      return View(value.get_string()).empty();
    case json::kind::array:
      return value.get_array().empty();
    case json::kind::object:
      return std::all_of(value.get_object().begin(), value.get_object().end(),
                         [](const auto& member) { return IsZero(member.value()); });
  }
  return false;
}

}  // namespace slipway::gateway
