#include "services/log/domain/selection.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::log {
namespace {

constexpr char kProjectLabel[] = "com.docker.compose.project";

bool HasLabel(const LogDescription& description, const std::string& wanted) {
  const size_t equals = wanted.find('=');
  const auto at = description.labels.find(wanted.substr(0, equals));
  if (at == description.labels.end()) return false;
  return equals == std::string::npos || at->second == wanted.substr(equals + 1);
}

// "busybox" is "busybox:latest", and an id is one too.
bool IsOfImage(const LogDescription& description, const std::string& wanted) {
  const auto full = [](const std::string& name) {
    const bool tagged = name.find(':', name.rfind('/') + 1) != std::string::npos ||
                        name.find('@') != std::string::npos;
    return tagged ? name : absl::StrCat(name, ":latest");
  };
  return description.image == wanted || full(description.image) == full(wanted) ||
         description.image_id == wanted ||
         (wanted.size() >= 12 &&
          absl::StartsWith(description.image_id, absl::StrCat("sha256:", wanted)));
}

bool HasProject(const LogDescription& description, const std::vector<std::string>& projects) {
  const auto at = description.labels.find(kProjectLabel);
  return at != description.labels.end() &&
         std::find(projects.begin(), projects.end(), at->second) != projects.end();
}

absl::StatusOr<std::string> FindOne(const std::vector<DescribedLog>& logs,
                                    const std::string& wanted) {
  // Names may have been used again: the latest is meant.
  const DescribedLog* named = nullptr;
  const DescribedLog* prefixed = nullptr;
  size_t prefixes = 0;
  for (const DescribedLog& log : logs) {
    if (log.container_id == wanted) return wanted;
    if (log.description->name == wanted &&
        (named == nullptr ||
         log.description->created_unix_ns > named->description->created_unix_ns)) {
      named = &log;
    }
    if (!wanted.empty() && absl::StartsWith(log.container_id, wanted)) {
      prefixed = &log;
      ++prefixes;
    }
  }
  if (named != nullptr) return named->container_id;
  if (prefixes == 1) return prefixed->container_id;
  if (prefixes > 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("\"", wanted, "\" is the beginning of ", prefixes, " container ids"));
  }
  return absl::NotFoundError(absl::StrCat("no log of container ", wanted));
}

}  // namespace

absl::StatusOr<std::vector<DescribedLog>> Select(std::vector<DescribedLog> logs,
                                                 const Selector& selector) {
  if (selector.empty()) return absl::InvalidArgumentError("the selector selects nothing");
  std::set<std::string> ids;
  for (const std::string& wanted : selector.containers) {
    ASSIGN_OR_RETURN(std::string id, FindOne(logs, wanted));
    ids.insert(std::move(id));
  }
  std::vector<DescribedLog> selected;
  for (DescribedLog& log : logs) {
    const LogDescription& description = *log.description;
    if (!selector.containers.empty() && !ids.contains(log.container_id)) continue;
    if (!std::all_of(selector.labels.begin(), selector.labels.end(),
                     [&](const std::string& label) { return HasLabel(description, label); })) {
      continue;
    }
    if (!selector.images.empty() &&
        std::none_of(selector.images.begin(), selector.images.end(),
                     [&](const std::string& image) { return IsOfImage(description, image); })) {
      continue;
    }
    if (!selector.projects.empty() && !HasProject(description, selector.projects)) continue;
    selected.push_back(std::move(log));
  }
  std::sort(selected.begin(), selected.end(), [](const DescribedLog& a, const DescribedLog& b) {
    return std::pair(b.description->created_unix_ns, a.container_id) <
           std::pair(a.description->created_unix_ns, b.container_id);
  });
  return selected;
}

}  // namespace slipway::log
