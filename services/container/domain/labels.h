#ifndef SERVICES_CONTAINER_DOMAIN_LABELS_H_
#define SERVICES_CONTAINER_DOMAIN_LABELS_H_

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/container/model/spec.h"

// Docker's label filters. Pure functions, thread-safe.
namespace slipway::container {

// `wanted`: "key" or "key=value".
inline bool HasLabel(const StringMap& labels, absl::string_view wanted) {
  const size_t equals = wanted.find('=');
  const auto found = labels.find(std::string(wanted.substr(0, equals)));
  if (found == labels.end()) return false;
  return equals == absl::string_view::npos || found->second == wanted.substr(equals + 1);
}

// All of `wanted` and none of `unwanted`.
inline bool LabelsPass(const StringMap& labels, const std::vector<std::string>& wanted,
                       const std::vector<std::string>& unwanted) {
  const auto has = [&labels](const std::string& label) { return HasLabel(labels, label); };
  return std::all_of(wanted.begin(), wanted.end(), has) &&
         std::none_of(unwanted.begin(), unwanted.end(), has);
}

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_LABELS_H_
