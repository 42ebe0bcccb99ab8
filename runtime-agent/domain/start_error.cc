#include "runtime-agent/domain/start_error.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"

namespace slipway::agent {
namespace {

constexpr char kPrefix[] =
    "failed to create task for container: unable to start container process: ";

// strerror's words as Go writes them: without the capital letter.
std::string ErrorWords(int error) {
  std::string words = std::strerror(error);
  if (!words.empty() && words.size() > 1 &&
      absl::ascii_islower(static_cast<unsigned char>(words[1]))) {
    words[0] = absl::ascii_tolower(static_cast<unsigned char>(words[0]));
  }
  return words;
}

absl::Status DescribeExec(const SpawnFailure& failure, absl::string_view program) {
  const bool searched = !absl::StrContains(program, '/');
  if (failure.error == ENOENT && searched) {
    return absl::InvalidArgumentError(
        absl::StrCat(kPrefix, "exec: \"", program, "\": executable file not found in $PATH"));
  }
  if (failure.error == ENOENT) {
    return absl::InvalidArgumentError(absl::StrCat(kPrefix, "exec: \"", program, "\": stat ",
                                                   program, ": no such file or directory"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(kPrefix, "exec: \"", program, "\": ", ErrorWords(failure.error)));
}

// A directory on a file, or the other way round.
absl::Status DescribeWrongKind(const SpawnFailure& failure) {
  return absl::InvalidArgumentError(absl::StrCat(
      kPrefix, "error mounting to \"", failure.detail, "\": ", ErrorWords(ENOTDIR),
      ": unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the "
      "specified host path exists and is the expected type"));
}

}  // namespace

absl::Status DescribeSpawnError(const absl::Status& status, absl::string_view program) {
  const auto failure = GetSpawnFailure(status);
  if (!failure.has_value()) return status;
  switch (failure->step) {
    case PlanStep::kExec:
      return DescribeExec(*failure, program);
    case PlanStep::kWorkingDirectory:
    case PlanStep::kWorkingDirectoryMake:
      return absl::InvalidArgumentError(
          absl::StrCat(kPrefix, "chdir to cwd (\"", failure->detail,
                       "\") set in config.json failed: ", ErrorWords(failure->error)));
    case PlanStep::kSysctl:
      return absl::InternalError(absl::StrCat(kPrefix, failure->error == ENOENT ? "open" : "write",
                                              " /proc/sys/", failure->detail, ": ",
                                              ErrorWords(failure->error)));
    case PlanStep::kBind:
    case PlanStep::kMount:
      if (failure->error == ENOTDIR) return DescribeWrongKind(*failure);
      return absl::InternalError(absl::StrCat(kPrefix, "error mounting to \"", failure->detail,
                                              "\": ", ErrnoName(failure->error), " (",
                                              ErrorWords(failure->error), ")"));
    default:
      return absl::InternalError(absl::StrCat(kPrefix, PlanStepName(failure->step), " ",
                                              failure->detail, ": ", ErrnoName(failure->error),
                                              " (", ErrorWords(failure->error), ")"));
  }
}

std::string FailedStep(const absl::Status& status) {
  const auto failure = GetSpawnFailure(status);
  return failure.has_value() ? PlanStepName(failure->step) : "supervisor";
}

}  // namespace slipway::agent
