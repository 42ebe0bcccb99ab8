#include <re2/re2.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/labels.h"
#include "services/container/domain/volumes.h"

namespace slipway::container {
namespace {

// A part of the name, or an expression that fits somewhere in it.
class NameFilter {
 public:
  explicit NameFilter(const std::vector<std::string>& names) : names_(names) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 20);
    for (const std::string& name : names) {
      patterns_.push_back(std::make_unique<RE2>(name, options));
    }
  }
  bool Passes(const std::string& name) const {
    if (names_.empty()) return true;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (absl::StrContains(name, names_[i])) return true;
      if (patterns_[i]->ok() && RE2::PartialMatch(name, *patterns_[i])) return true;
    }
    return false;
  }

 private:
  const std::vector<std::string>& names_;
  std::vector<std::unique_ptr<RE2>> patterns_;
};

}  // namespace

std::string MountpointOf(const HostInfo& host, const std::string& volume) {
  return absl::StrCat(host.volumes_directory, "/", volume, "/_data");
}

std::vector<UsedVolume> ListVolumes(Core& core, const VolumeQuery& query) {
  const NameFilter names(query.names);
  std::vector<UsedVolume> listed = core.volumes().All();
  std::erase_if(listed, [&](const UsedVolume& used) {
    const bool dangling = used.users.empty();
    return !names.Passes(used.volume->name) ||
           !LabelsPass(used.volume->labels, query.labels, query.not_labels) ||
           (query.dangling.has_value() && *query.dangling != dangling);
  });
  return listed;
}

absl::StatusOr<UsedVolume> GetVolume(Core& core, const std::string& name) {
  std::optional<UsedVolume> found = core.volumes().Find(name);
  if (found.has_value()) return *std::move(found);
  return absl::NotFoundError(absl::StrCat("get ", name, ": no such volume"));
}

absl::StatusOr<std::vector<std::optional<int64_t>>> MeasureVolumes(
    Core& core, const std::vector<UsedVolume>& volumes) {
  std::vector<std::optional<int64_t>> sizes(volumes.size());
  if (volumes.empty()) return sizes;
  std::vector<std::string> names;
  for (const UsedVolume& used : volumes) names.push_back(used.volume->name);
  ASSIGN_OR_RETURN(const std::vector<int64_t> measured, core.agent().MeasureVolumes(names));
  for (size_t i = 0; i < sizes.size() && i < measured.size(); ++i) {
    if (measured[i] >= 0) sizes[i] = measured[i];
  }
  return sizes;
}

}  // namespace slipway::container
