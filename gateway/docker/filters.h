#ifndef GATEWAY_DOCKER_FILTERS_H_
#define GATEWAY_DOCKER_FILTERS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::gateway {

// The query parameter "filters": {"label": ["a=b"]} or, from old clients, {"label": {"a=b": true}}.
// Values of one name are alternatives. Pure.
class Filters {
 public:
  static absl::StatusOr<Filters> Parse(absl::string_view text);

  bool Has(absl::string_view name) const { return !Get(name).empty(); }
  const std::vector<std::string>& Get(absl::string_view name) const;

  // InvalidArgument for the first name that is not among `known`.
  absl::Status CheckNames(const std::vector<absl::string_view>& known) const;

  // The filter's one boolean; nothing where it is absent.
  absl::StatusOr<std::optional<bool>> GetBool(absl::string_view name) const;

  // True where `name` is absent or has `value`.
  bool Allows(absl::string_view name, absl::string_view value) const;

  // True where each "key" or "key=value" of the filter "label" fits. `T` maps strings to strings.
  template <typename T>
  bool AllowsLabels(const T& labels) const {
    for (const std::string& wanted : Get("label")) {
      const size_t equals = wanted.find('=');
      const auto found = labels.find(wanted.substr(0, equals));
      if (found == labels.end()) return false;
      if (equals != std::string::npos && found->second != wanted.substr(equals + 1)) return false;
    }
    return true;
  }

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_FILTERS_H_
