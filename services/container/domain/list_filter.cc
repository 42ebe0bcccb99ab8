#include "services/container/domain/list_filter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/container/domain/container_state.h"
#include "services/container/domain/labels.h"

namespace slipway::container {
namespace {

using Strings = std::vector<std::string>;

template <typename Predicate>
bool AnyOrNone(const Strings& values, Predicate matches) {
  return values.empty() || std::any_of(values.begin(), values.end(), matches);
}

// "redis" is short for "redis:latest".
std::string WithTag(absl::string_view reference) {
  const size_t slash = reference.rfind('/');
  const absl::string_view last = reference.substr(slash == absl::string_view::npos ? 0 : slash + 1);
  if (absl::StrContains(last, ':') || absl::StrContains(last, '@')) return std::string(reference);
  return absl::StrCat(reference, ":latest");
}

}  // namespace

absl::StatusOr<ListFilter> ListFilter::Create(ListQuery query) {
  constexpr absl::string_view kStatuses[] = {"created",  "running", "paused", "restarting",
                                             "removing", "exited",  "dead"};
  for (const std::string& status : query.statuses) {
    if (std::find(std::begin(kStatuses), std::end(kStatuses), status) == std::end(kStatuses)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid filter 'status=", status, "'"));
    }
  }
  ListFilter filter(std::move(query));
  for (const std::string& name : filter.query_.names) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 20);
    filter.name_patterns_.push_back(std::make_unique<RE2>(name, options));
  }
  return filter;
}

bool ListFilter::MatchesName(const Container& container) const {
  if (query_.names.empty()) return true;
  const std::string with_slash = absl::StrCat("/", container.name);
  for (size_t i = 0; i < query_.names.size(); ++i) {
    const RE2& pattern = *name_patterns_[i];
    if (!pattern.ok()) {
      if (absl::StrContains(with_slash, query_.names[i])) return true;
    } else if (RE2::PartialMatch(container.name, pattern) ||
               RE2::PartialMatch(with_slash, pattern)) {
      return true;
    }
  }
  return false;
}

bool ListFilter::MatchesAncestor(const Container& container) const {
  if (query_.ancestors.empty()) return true;
  const std::string& id = container.definition->image_id;
  const std::string& image = container.definition->spec.image;
  const absl::string_view hex = absl::StripPrefix(id, "sha256:");
  if (AnyOrNone(query_.ancestor_ids, [&id](const std::string& other) { return other == id; }) &&
      !query_.ancestor_ids.empty()) {
    return true;
  }
  return AnyOrNone(query_.ancestors, [&](const std::string& wanted) {
    return WithTag(wanted) == WithTag(image) || wanted == id ||
           (wanted.size() >= 4 && absl::StartsWith(hex, absl::StripPrefix(wanted, "sha256:")));
  });
}

bool ListFilter::MatchesNetwork(const Container& container) const {
  return AnyOrNone(query_.networks, [&container](const std::string& wanted) {
    std::string mode = container.definition->spec.network.mode;
    if (mode.empty() || mode == "default") mode = "bridge";
    const Network& network = container.definition->spec.network;
    if (network.attachments_are_all) {
      return std::any_of(
          network.attachments.begin(), network.attachments.end(),
          [&wanted](const Attachment& attachment) {
            return attachment.network_name == wanted ||
                   (wanted.size() >= 4 && absl::StartsWith(attachment.network, wanted));
          });
    }
    if (mode == wanted) return true;
    return std::any_of(container.endpoints.begin(), container.endpoints.end(),
                       [&wanted](const Endpoint& endpoint) {
                         return endpoint.network == wanted ||
                                (!endpoint.network_id.empty() && wanted.size() >= 4 &&
                                 absl::StartsWith(endpoint.network_id, wanted));
                       });
  });
}

bool ListFilter::MatchesHealth(const Container& container) const {
  const Health::Status status =
      container.health == nullptr ? Health::Status::kNone : container.health->status;
  return AnyOrNone(query_.health,
                   [status](const std::string& wanted) { return wanted == HealthName(status); });
}

bool ListFilter::Matches(const Container& container) const {
  const Definition& definition = *container.definition;
  const absl::string_view status = DockerStatus(container);
  const bool runs = HasProcess(container.state) || container.state == State::kRestarting;
  const bool wants_all = query_.all || query_.limit > 0 || !query_.statuses.empty();
  if (!wants_all && !runs) return false;
  if (!AnyOrNone(query_.statuses, [&](const std::string& wanted) { return wanted == status; })) {
    return false;
  }
  if (!AnyOrNone(query_.ids, [&](const std::string& wanted) {
        return absl::StartsWith(definition.id, wanted);
      })) {
    return false;
  }
  if (!LabelsPass(definition.effective.labels, query_.labels, {})) return false;
  if (!query_.exit_codes.empty()) {
    const bool ended = !runs && container.started_unix_ns != 0;
    if (!ended || std::find(query_.exit_codes.begin(), query_.exit_codes.end(),
                            container.exit_code) == query_.exit_codes.end()) {
      return false;
    }
  }
  if (query_.before_unix_ns != 0 && definition.created_unix_ns >= query_.before_unix_ns) {
    return false;
  }
  if (query_.since_unix_ns != 0 && definition.created_unix_ns <= query_.since_unix_ns) return false;
  return MatchesName(container) && MatchesAncestor(container) && MatchesNetwork(container) &&
         MatchesHealth(container);
}

std::vector<ContainerPtr> ListFilter::Apply(std::vector<ContainerPtr> containers) const {
  containers.erase(std::remove_if(containers.begin(), containers.end(),
                                  [this](const ContainerPtr& c) { return !Matches(*c); }),
                   containers.end());
  std::sort(containers.begin(), containers.end(), [](const ContainerPtr& a, const ContainerPtr& b) {
    const Definition& left = *a->definition;
    const Definition& right = *b->definition;
    if (left.created_unix_ns != right.created_unix_ns) {
      return left.created_unix_ns > right.created_unix_ns;
    }
    return left.id < right.id;
  });
  if (query_.limit > 0 && containers.size() > static_cast<size_t>(query_.limit)) {
    containers.resize(static_cast<size_t>(query_.limit));
  }
  return containers;
}

}  // namespace slipway::container
