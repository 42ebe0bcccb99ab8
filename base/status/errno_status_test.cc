#include "base/status/errno_status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace slipway {
namespace {

TEST(ErrnoStatusTest, NamesVerbObjectAndCause) {
  const absl::Status status = ErrnoStatus(ENOENT, "open /no/such");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "open /no/such: ENOENT (No such file or directory)");
}

TEST(ErrnoStatusTest, UnknownErrnoIsInternal) {
  const absl::Status status = ErrnoStatus(4095, "frob x");
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(status.message(), "frob x: unknown errno (unknown error)");
}

TEST(ErrnoStatusTest, FullDiskIsResourceExhausted) {
  EXPECT_EQ(ErrnoStatus(ENOSPC, "write f").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(EDQUOT, "write f").code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace slipway
