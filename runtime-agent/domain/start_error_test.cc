#include "runtime-agent/domain/start_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "runtime-agent/supervisor/plan.h"

namespace slipway::agent {
namespace {

using testing::HasSubstr;

absl::Status Failed(PlanStep step, int error, absl::string_view detail) {
  absl::Status status = absl::InternalError("spawn");
  status.SetPayload("slipway.agent.SpawnFailure",
                    absl::Cord(absl::StrCat(static_cast<uint32_t>(step), " ", error, " ", detail)));
  return DescribeSpawnError(status, "program");
}

TEST(StartError, ADirectoryOnAFileIsExplained) {
  const absl::Status status = Failed(PlanStep::kBind, ENOTDIR, "/etc/passwd");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("\"/etc/passwd\": not a directory: unknown: Are you trying to mount a "
                        "directory onto a file (or vice-versa)? Check if the specified host path "
                        "exists and is the expected type"));
}

TEST(StartError, OtherMountsNameTheirErrno) {
  const absl::Status status = Failed(PlanStep::kMount, EINVAL, "/t");
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("error mounting to \"/t\": EINVAL (invalid argument)"));
}

TEST(StartError, SysctlsAreNamed) {
  EXPECT_THAT(std::string(Failed(PlanStep::kSysctl, EINVAL, "kernel/msgmax").message()),
              HasSubstr("write /proc/sys/kernel/msgmax: invalid argument"));
  EXPECT_THAT(std::string(Failed(PlanStep::kSysctl, ENOENT, "net/no/such").message()),
              HasSubstr("open /proc/sys/net/no/such: no such file or directory"));
}

}  // namespace
}  // namespace slipway::agent
