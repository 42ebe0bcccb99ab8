#include "gateway/buildkit/build_progress.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/rpc/request_id.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::build::v1;
namespace bk = moby::buildkit::v1;
using google::protobuf::Timestamp;
using google::protobuf::util::TimeUtil;

constexpr uint32_t kParts = 1u << 20;  // their numbers come behind those of steps

Timestamp Now() { return TimeUtil::NanosecondsToTimestamp(absl::GetCurrentTimeNanos()); }

Timestamp TimeOr(int64_t unix_ns, const Timestamp& otherwise) {
  return unix_ns != 0 ? TimeUtil::NanosecondsToTimestamp(unix_ns) : otherwise;
}

// "build ", "stage-1 ", or nothing for a stage without a name that is alone.
std::string StageLabel(const std::string& stage, bool one_of_several) {
  const bool named = stage.find_first_not_of("0123456789") != std::string::npos;
  if (named) return absl::StrCat(stage, " ");
  return one_of_several ? absl::StrCat("stage-", stage, " ") : "";
}

// What only changes the image's configuration is not shown, as BuildKit does not.
bool IsShown(absl::string_view name) {
  const std::string verb(name.substr(0, name.find_first_of(" \t")));
  for (const absl::string_view shown : {"FROM", "RUN", "COPY", "ADD", "WORKDIR"}) {
    if (absl::EqualsIgnoreCase(verb, shown)) return true;
  }
  return false;
}

}  // namespace

BuildProgress::BuildProgress(Send send)
    : send_(std::move(send)), name_(NewRequestId() + NewRequestId()) {}

std::string BuildProgress::Digest(uint32_t number) const {
  return absl::StrFormat("sha256:%s%032x", name_, number);
}

void BuildProgress::Show(const Vertex& vertex) {
  if (!vertex.shown) return;
  bk::StatusResponse status;
  *status.add_vertexes() = vertex.message;
  send_(std::move(status));
}

uint32_t BuildProgress::Begin(const std::string& name) {
  Vertex part;
  part.message.set_digest(Digest(kParts + static_cast<uint32_t>(parts_.size())));
  part.message.set_name(name);
  *part.message.mutable_started() = Now();
  parts_.push_back(std::move(part));
  Show(parts_.back());
  return static_cast<uint32_t>(parts_.size() - 1);
}

void BuildProgress::Count(uint32_t part, const std::string& what, uint64_t bytes) {
  bk::StatusResponse response;
  bk::VertexStatus& status = *response.add_statuses();
  status.set_id(what);
  status.set_vertex(parts_[part].message.digest());
  status.set_name(what);
  status.set_current(static_cast<int64_t>(bytes));
  *status.mutable_started() = parts_[part].message.started();
  *status.mutable_timestamp() = Now();
  send_(std::move(response));
}

void BuildProgress::End(uint32_t part, const absl::Status& status) {
  *parts_[part].message.mutable_completed() = Now();
  if (!status.ok()) parts_[part].message.set_error(std::string(status.message()));
  Show(parts_[part]);
}

void BuildProgress::TakePlan(const pb::BuildPlan& plan) {
  std::map<std::string, int> totals;
  for (const pb::BuildStep& step : plan.steps()) {
    if (IsShown(step.name())) ++totals[step.stage()];
  }
  std::map<std::string, int> counts;
  // What stands for a step that is not shown: what it waits for.
  std::vector<std::vector<uint32_t>> stands_for(plan.steps_size() + 1);
  bk::StatusResponse response;
  for (const pb::BuildStep& step : plan.steps()) {
    Vertex vertex;
    vertex.shown = IsShown(step.name());
    for (const uint32_t needed : step.depends_on()) {
      if (needed >= stands_for.size()) continue;
      for (const uint32_t shown : stands_for[needed]) {
        if (std::find(vertex.waits_for.begin(), vertex.waits_for.end(), shown) ==
            vertex.waits_for.end()) {
          vertex.waits_for.push_back(shown);
        }
      }
    }
    for (const uint32_t shown : vertex.waits_for) vertex.message.add_inputs(Digest(shown));
    vertex.message.set_digest(Digest(step.number()));
    if (vertex.shown) {
      const std::string stage = StageLabel(step.stage(), totals.size() > 1);
      vertex.message.set_name(absl::StrCat("[", stage, ++counts[step.stage()], "/",
                                           totals[step.stage()], "] ", step.name()));
      *response.add_vertexes() = vertex.message;
    }
    if (step.number() < stands_for.size()) {
      stands_for[step.number()] =
          vertex.shown ? std::vector<uint32_t>{step.number()} : vertex.waits_for;
    }
    steps_.push_back(std::move(vertex));
  }
  send_(std::move(response));
}

void BuildProgress::TakeStep(const pb::BuildStep& step) {
  if (step.number() == 0 || step.number() > steps_.size()) return;
  Vertex& vertex = steps_[step.number() - 1];
  if (step.state() == pb::BuildStep::STATE_UNSPECIFIED) return;
  const Timestamp now = Now();
  if (!vertex.message.has_started()) {
    *vertex.message.mutable_started() = TimeOr(step.started_unix_ns(), now);
  } else if (step.state() == pb::BuildStep::STATE_RUNNING) {
    return;
  }
  if (step.state() != pb::BuildStep::STATE_RUNNING) {
    *vertex.message.mutable_completed() = TimeOr(step.finished_unix_ns(), now);
  }
  vertex.message.set_cached(step.state() == pb::BuildStep::STATE_CACHED);
  if (step.state() == pb::BuildStep::STATE_CANCELLED) vertex.message.set_error("context canceled");
  // Why it failed comes with the call's end.
  if (step.state() == pb::BuildStep::STATE_FAILED) {
    vertex.message.clear_completed();
    return;
  }
  Show(vertex);
}

void BuildProgress::TakeOutput(const pb::BuildOutput& output) {
  if (output.step() == 0 || output.step() > steps_.size()) return;
  bk::StatusResponse response;
  bk::VertexLog& log = *response.add_logs();
  log.set_vertex(steps_[output.step() - 1].message.digest());
  *log.mutable_timestamp() = Now();
  log.set_stream(output.is_stderr() ? 2 : 1);
  log.set_msg(output.data());
  send_(std::move(response));
}

void BuildProgress::Take(const pb::BuildImageResponse& response) {
  if (response.has_plan()) {
    TakePlan(response.plan());
  } else if (response.has_step()) {
    TakeStep(response.step());
  } else if (response.has_output()) {
    TakeOutput(response.output());
  } else if (response.has_warning() && !parts_.empty()) {
    bk::StatusResponse status;
    bk::VertexWarning& warning = *status.add_warnings();
    warning.set_vertex(parts_[0].message.digest());
    warning.set_level(1);
    warning.set_short_(response.warning().text());
    send_(std::move(status));
  }
}

void BuildProgress::Fail(const absl::Status& status) {
  const auto fail = [&](Vertex& vertex) {
    if (!vertex.message.has_started() || vertex.message.has_completed()) return;
    *vertex.message.mutable_completed() = Now();
    vertex.message.set_error(std::string(status.message()));
    Show(vertex);
  };
  for (Vertex& vertex : parts_) fail(vertex);
  for (Vertex& vertex : steps_) fail(vertex);
}

}  // namespace slipway::gateway
