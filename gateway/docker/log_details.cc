#include "gateway/docker/log_details.h"

#include <re2/re2.h>

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gateway/docker/query_escape.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::container::v1;
using Strings = std::map<std::string, std::string>;

std::string Short(absl::string_view id) {
  absl::ConsumePrefix(&id, "sha256:");
  return std::string(id.substr(0, 12));
}

std::string Tag(const pb::Container& container, const std::string& given) {
  const std::string command = absl::StrCat(container.path(), container.args().empty() ? "" : " ",
                                           absl::StrJoin(container.args(), " "));
  return absl::StrReplaceAll(given, {{"{{.ID}}", Short(container.id())},
                                     {"{{.FullID}}", container.id()},
                                     {"{{.Name}}", container.name()},
                                     {"{{.ImageName}}", container.spec().image()},
                                     {"{{.ImageID}}", Short(container.image_id())},
                                     {"{{.ImageFullID}}", container.image_id()},
                                     {"{{.Command}}", command},
                                     {"{{.DaemonName}}", "slipway"}});
}

void Add(const Strings& from, const std::string& names, const std::string& regex, Strings& to) {
  for (const absl::string_view name : absl::StrSplit(names, ',')) {
    if (const auto at = from.find(std::string(name)); at != from.end()) to[at->first] = at->second;
  }
  if (regex.empty()) return;
  const RE2 pattern(regex, RE2::Quiet);
  if (!pattern.ok()) return;
  for (const auto& [name, value] : from) {
    if (RE2::PartialMatch(name, pattern)) to[name] = value;
  }
}

}  // namespace

std::string LogDetails(const pb::Container& container) {
  const Strings options(container.spec().log().options().begin(),
                        container.spec().log().options().end());
  const auto option = [&options](const char* name) {
    const auto at = options.find(name);
    return at == options.end() ? std::string() : at->second;
  };
  const Strings labels(container.effective_config().labels().begin(),
                       container.effective_config().labels().end());
  Strings variables;
  for (const std::string& variable : container.effective_config().env()) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(variable, absl::MaxSplits('=', 1));
    variables[pair.first] = pair.second;
  }
  Strings chosen;
  Add(labels, option("labels"), option("labels-regex"), chosen);
  Add(variables, option("env"), option("env-regex"), chosen);
  if (const std::string tag = option("tag"); !tag.empty()) chosen["tag"] = Tag(container, tag);
  std::vector<std::string> pairs;
  for (const auto& [key, value] : chosen) {
    pairs.push_back(absl::StrCat(QueryEscape(key), "=", QueryEscape(value)));
  }
  return absl::StrCat(absl::StrJoin(pairs, ","), " ");
}

}  // namespace slipway::gateway
