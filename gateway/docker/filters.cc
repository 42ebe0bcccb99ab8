#include "gateway/docker/filters.h"

#include <algorithm>
#include <boost/json/parse.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace slipway::gateway {

namespace json = boost::json;

absl::StatusOr<Filters> Filters::Parse(absl::string_view text) {
  Filters filters;
  if (text.empty()) return filters;
  const absl::Status invalid = absl::InvalidArgumentError("invalid filter");
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 4;
  const json::value value =
      json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error || !value.is_object()) return invalid;
  for (const auto& member : value.get_object()) {
    std::vector<std::string>& values = filters.values_[std::string(member.key())];
    if (const json::array* array = member.value().if_array()) {
      for (const json::value& item : *array) {
        if (!item.is_string()) return invalid;
        values.emplace_back(item.get_string());
      }
    } else if (const json::object* object = member.value().if_object()) {
      for (const auto& item : *object) {
        if (!item.value().is_bool()) return invalid;
        if (item.value().get_bool()) values.emplace_back(item.key());
      }
    } else {
      return invalid;
    }
  }
  return filters;
}

const std::vector<std::string>& Filters::Get(absl::string_view name) const {
  static const auto& none = *new std::vector<std::string>();
  const auto found = values_.find(std::string(name));
  return found == values_.end() ? none : found->second;
}

absl::Status Filters::CheckNames(const std::vector<absl::string_view>& known) const {
  for (const auto& [name, values] : values_) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return absl::InvalidArgumentError(absl::StrCat("invalid filter '", name, "'"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<bool>> Filters::GetBool(absl::string_view name) const {
  const std::vector<std::string>& values = Get(name);
  if (values.empty()) return std::optional<bool>();
  const std::string& value = values[0];
  if (values.size() == 1 && (value == "1" || value == "true")) return std::optional<bool>(true);
  if (values.size() == 1 && (value == "0" || value == "false")) return std::optional<bool>(false);
  return absl::InvalidArgumentError(
      absl::StrCat("invalid filter '", name, "=[", absl::StrJoin(values, " "), "]'"));
}

bool Filters::Allows(absl::string_view name, absl::string_view value) const {
  const std::vector<std::string>& values = Get(name);
  return values.empty() || std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace slipway::gateway
