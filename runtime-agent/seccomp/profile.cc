#include "runtime-agent/seccomp/profile.h"

#include <boost/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace slipway::agent {
namespace {

namespace json = boost::json;

constexpr size_t kMaxProfileBytes = 1 << 20;

const json::value* Find(const json::object& object, absl::string_view key) {
  return object.if_contains(json::string_view(key.data(), key.size()));
}

std::string Text(const json::object& object, absl::string_view key) {
  const json::value* value = Find(object, key);
  if (value == nullptr || !value->is_string()) return "";
  return std::string(value->get_string().data(), value->get_string().size());
}

std::vector<std::string> Texts(const json::object& object, absl::string_view key) {
  std::vector<std::string> texts;
  const json::value* value = Find(object, key);
  if (value == nullptr || !value->is_array()) return texts;
  for (const json::value& entry : value->get_array()) {
    if (entry.is_string()) texts.emplace_back(entry.get_string().data(), entry.get_string().size());
  }
  return texts;
}

// Absent and null count as `fallback`; a number may be written signed or unsigned.
uint64_t Number(const json::object& object, absl::string_view key, uint64_t fallback) {
  const json::value* value = Find(object, key);
  if (value == nullptr) return fallback;
  if (value->is_uint64()) return value->get_uint64();
  if (value->is_int64()) return static_cast<uint64_t>(value->get_int64());
  return fallback;
}

SeccompFilter ParseFilter(const json::object& rule, absl::string_view key) {
  const json::value* value = Find(rule, key);
  if (value == nullptr || !value->is_object()) return {};
  const json::object& object = value->get_object();
  return {.capabilities = Texts(object, "caps"),
          .architectures = Texts(object, "arches"),
          .minimum_kernel = Text(object, "minKernel")};
}

absl::StatusOr<SeccompRule> ParseRule(const json::value& value) {
  if (!value.is_object()) return absl::InvalidArgumentError("a syscall rule is not an object");
  const json::object& object = value.get_object();
  SeccompRule rule;
  rule.names = Texts(object, "names");
  if (std::string name = Text(object, "name"); !name.empty()) rule.names.push_back(name);
  if (rule.names.empty()) return absl::InvalidArgumentError("a syscall rule has no names");
  rule.action = Text(object, "action");
  rule.errno_return = static_cast<int64_t>(Number(object, "errnoRet", ~uint64_t{0}));
  rule.includes = ParseFilter(object, "includes");
  rule.excludes = ParseFilter(object, "excludes");
  const json::value* arguments = Find(object, "args");
  if (arguments == nullptr || !arguments->is_array()) return rule;
  for (const json::value& entry : arguments->get_array()) {
    if (!entry.is_object()) return absl::InvalidArgumentError("an argument is not an object");
    const json::object& argument = entry.get_object();
    const uint64_t index = Number(argument, "index", 0);
    if (index > 5) return absl::InvalidArgumentError("a syscall has no argument past the sixth");
    rule.arguments.push_back({.index = static_cast<uint32_t>(index),
                              .value = Number(argument, "value", 0),
                              .value_two = Number(argument, "valueTwo", 0),
                              .op = Text(argument, "op")});
  }
  return rule;
}

}  // namespace

absl::StatusOr<SeccompProfile> ParseSeccompProfile(absl::string_view text) {
  if (text.size() > kMaxProfileBytes) {
    return absl::InvalidArgumentError("the seccomp profile is larger than 1 MiB");
  }
  json::error_code error;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat("the seccomp profile is not a JSON object: ",
                                                   error ? error.message() : "another type"));
  }
  const json::object& object = value.get_object();
  SeccompProfile profile;
  profile.default_action = Text(object, "defaultAction");
  if (profile.default_action.empty()) {
    return absl::InvalidArgumentError("the seccomp profile has no defaultAction");
  }
  profile.default_errno_return =
      static_cast<int64_t>(Number(object, "defaultErrnoRet", ~uint64_t{0}));
  profile.architectures = Texts(object, "architectures");
  if (const json::value* map = Find(object, "archMap"); map != nullptr && map->is_array()) {
    for (const json::value& entry : map->get_array()) {
      if (!entry.is_object()) continue;
      profile.architecture_map.push_back({Text(entry.get_object(), "architecture"),
                                          Texts(entry.get_object(), "subArchitectures")});
    }
  }
  const json::value* rules = Find(object, "syscalls");
  if (rules == nullptr || !rules->is_array()) return profile;
  for (const json::value& entry : rules->get_array()) {
    auto rule = ParseRule(entry);
    if (!rule.ok()) return rule.status();
    profile.rules.push_back(*std::move(rule));
  }
  return profile;
}

}  // namespace slipway::agent
