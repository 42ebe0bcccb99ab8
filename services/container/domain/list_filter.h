#ifndef SERVICES_CONTAINER_DOMAIN_LIST_FILTER_H_
#define SERVICES_CONTAINER_DOMAIN_LIST_FILTER_H_

#include <re2/re2.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/container/model/container.h"

namespace slipway::container {

// What `docker ps` may be asked for. Values of one filter are alternatives (of `labels`: all must
// hold), filters restrict one another.
struct ListQuery {
  bool all = false;
  int32_t limit = 0;
  std::vector<std::string> ids;
  std::vector<std::string> names;
  std::vector<std::string> labels;
  std::vector<std::string> statuses;
  std::vector<std::string> ancestors;
  std::vector<int32_t> exit_codes;
  std::string before;
  std::string since;
  std::vector<std::string> networks;
  std::vector<std::string> health;  // "none" where there is no check
  // Filled in by the use case: what `ancestors` resolve to, and the creation times of `before` and
  // `since` (zero: none).
  std::vector<std::string> ancestor_ids;
  int64_t before_unix_ns = 0;
  int64_t since_unix_ns = 0;
};

// A compiled query. Thread-safe once made.
class ListFilter {
 public:
  // InvalidArgument for a status that Docker does not know.
  static absl::StatusOr<ListFilter> Create(ListQuery query);

  bool Matches(const Container& container) const;
  // Those that match, newest first, at most the query's limit.
  std::vector<ContainerPtr> Apply(std::vector<ContainerPtr> containers) const;

 private:
  explicit ListFilter(ListQuery query) : query_(std::move(query)) {}
  bool MatchesName(const Container& container) const;
  bool MatchesAncestor(const Container& container) const;
  bool MatchesNetwork(const Container& container) const;
  bool MatchesHealth(const Container& container) const;

  ListQuery query_;
  std::vector<std::unique_ptr<RE2>> name_patterns_;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_LIST_FILTER_H_
