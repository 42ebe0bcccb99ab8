#include "services/container/domain/exec_records.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace slipway::container {
namespace {

absl::Status NoSuchExec(absl::string_view id) {
  return absl::NotFoundError(absl::StrCat("No such exec instance: ", id.substr(0, 128)));
}

}  // namespace

bool ExecRecords::MakeRoom() {
  // What was dropped with its container leaves its place in the order behind.
  order_.erase(std::remove_if(order_.begin(), order_.end(),
                              [this](const std::string& id) { return !records_.contains(id); }),
               order_.end());
  for (const ExecRecord::Phase phase : {ExecRecord::Phase::kEnded, ExecRecord::Phase::kCreated}) {
    const auto found = std::find_if(
        order_.begin(), order_.end(),
        [this, phase](const std::string& id) { return records_.at(id).phase == phase; });
    if (found == order_.end()) continue;
    const std::string id = *found;
    order_.erase(found);
    Erase(id);
    return true;
  }
  return false;
}

void ExecRecords::Erase(const std::string& id) {
  const auto found = records_.find(id);
  if (found == records_.end()) return;
  const auto siblings = by_container_.find(found->second.container_id);
  if (siblings != by_container_.end()) {
    std::vector<std::string>& ids = siblings->second;
    ids.erase(std::remove(ids.begin(), ids.end(), id), ids.end());
    if (ids.empty()) by_container_.erase(siblings);
  }
  records_.erase(found);
}

absl::Status ExecRecords::Add(ExecRecord record) {
  absl::MutexLock lock(&mu_);
  if ((records_.size() >= maximum_ || order_.size() >= 2 * maximum_) && !MakeRoom() &&
      records_.size() >= maximum_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", records_.size(), " running execs, which is the limit"));
  }
  by_container_[record.container_id].push_back(record.id);
  order_.push_back(record.id);
  const std::string id = record.id;
  records_[id] = std::move(record);
  return absl::OkStatus();
}

absl::StatusOr<ExecRecord> ExecRecords::Get(absl::string_view id) const {
  absl::MutexLock lock(&mu_);
  const auto found = records_.find(id);
  if (found == records_.end()) return NoSuchExec(id);
  return found->second;
}

absl::StatusOr<ExecRecord> ExecRecords::BeginStart(absl::string_view id) {
  absl::MutexLock lock(&mu_);
  const auto found = records_.find(id);
  if (found == records_.end()) return NoSuchExec(id);
  switch (found->second.phase) {
    case ExecRecord::Phase::kEnded:
      return absl::FailedPreconditionError(
          absl::StrCat("Error: Exec command ", id, " has already run"));
    case ExecRecord::Phase::kStarting:
    case ExecRecord::Phase::kRunning:
      return absl::FailedPreconditionError(
          absl::StrCat("Error: Exec command ", id, " is already running"));
    case ExecRecord::Phase::kCreated:
      break;
  }
  found->second.phase = ExecRecord::Phase::kStarting;
  return found->second;
}

void ExecRecords::Started(absl::string_view id, int64_t pid) {
  absl::MutexLock lock(&mu_);
  const auto found = records_.find(id);
  if (found == records_.end() || found->second.phase == ExecRecord::Phase::kEnded) return;
  found->second.phase = ExecRecord::Phase::kRunning;
  found->second.pid = pid;
}

void ExecRecords::StartUndone(absl::string_view id) {
  absl::MutexLock lock(&mu_);
  const auto found = records_.find(id);
  if (found == records_.end() || found->second.phase != ExecRecord::Phase::kStarting) return;
  found->second.phase = ExecRecord::Phase::kCreated;
}

bool ExecRecords::Ended(absl::string_view id, int32_t exit_code) {
  absl::MutexLock lock(&mu_);
  const auto found = records_.find(id);
  if (found == records_.end() || found->second.phase == ExecRecord::Phase::kEnded) return false;
  found->second.phase = ExecRecord::Phase::kEnded;
  found->second.exit_code = exit_code;
  return true;
}

std::vector<std::string> ExecRecords::LiveOf(absl::string_view container_id) const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> live;
  const auto found = by_container_.find(container_id);
  if (found == by_container_.end()) return live;
  for (const std::string& id : found->second) {
    if (records_.at(id).phase != ExecRecord::Phase::kEnded) live.push_back(id);
  }
  return live;
}

void ExecRecords::DropContainer(absl::string_view container_id) {
  absl::MutexLock lock(&mu_);
  const auto found = by_container_.find(container_id);
  if (found == by_container_.end()) return;
  for (const std::string& id : found->second) records_.erase(id);
  by_container_.erase(found);
}

}  // namespace slipway::container
