#include "services/log/outlets/attributes.h"

#include <re2/re2.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

namespace slipway::log {
namespace {

std::string Short(absl::string_view id) {
  absl::ConsumePrefix(&id, "sha256:");
  return std::string(id.substr(0, 12));
}

}  // namespace

std::string Option(const LogDescription& description, const std::string& name,
                   absl::string_view otherwise) {
  const auto at = description.options.find(name);
  return at == description.options.end() ? std::string(otherwise) : at->second;
}

bool BoolOption(const LogDescription& description, const std::string& name, bool otherwise) {
  const std::string value = Option(description, name);
  if (value.empty()) return otherwise;
  return value == "1" || value == "t" || value == "T" || value == "true" || value == "TRUE" ||
         value == "True";
}

std::map<std::string, std::string> Attributes(const LogDescription& description) {
  std::map<std::string, std::string> attributes;
  std::map<std::string, std::string> variables;
  for (const std::string& variable : description.env) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(variable, absl::MaxSplits('=', 1));
    variables[pair.first] = pair.second;
  }
  const auto add = [&](const std::map<std::string, std::string>& from, const char* names,
                       const std::string& regex) {
    const std::string given = Option(description, names);
    for (const absl::string_view name : absl::StrSplit(given, ',')) {
      if (const auto at = from.find(std::string(name)); at != from.end()) {
        attributes[at->first] = at->second;
      }
    }
    if (regex.empty()) return;
    const RE2 pattern(regex, RE2::Quiet);
    if (!pattern.ok()) return;
    for (const auto& [name, value] : from) {
      if (RE2::PartialMatch(name, pattern)) attributes[name] = value;
    }
  };
  add(description.labels, "labels", Option(description, "labels-regex"));
  add(variables, "env", Option(description, "env-regex"));
  return attributes;
}

std::string Tag(const ContainerId& id, const LogDescription& description,
                absl::string_view otherwise) {
  const std::string given = Option(description, "tag");
  return absl::StrReplaceAll(given.empty() ? otherwise : absl::string_view(given),
                             {{"{{.ID}}", Short(id.value())},
                              {"{{.FullID}}", id.value()},
                              {"{{.Name}}", description.name},
                              {"{{.ImageName}}", description.image},
                              {"{{.ImageID}}", Short(description.image_id)},
                              {"{{.ImageFullID}}", description.image_id},
                              {"{{.Command}}", absl::StrJoin(description.argv, " ")},
                              {"{{.Hostname}}", description.hostname},
                              {"{{.DaemonName}}", "slipway"}});
}

std::string Rfc3339Nano(int64_t unix_ns, bool trim) {
  const absl::Time time = absl::FromUnixNanos(unix_ns);
  std::string text = absl::FormatTime("%Y-%m-%dT%H:%M:%S", time, absl::UTCTimeZone());
  int64_t fraction = unix_ns % 1'000'000'000;
  if (fraction < 0) fraction += 1'000'000'000;
  std::string digits = absl::StrFormat(".%09d", fraction);
  if (trim) {
    while (digits.back() == '0') digits.pop_back();
    if (digits == ".") digits.clear();
  }
  return absl::StrCat(text, digits, "Z");
}

}  // namespace slipway::log
