#include "base/os/directory_lock.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "absl/time/clock.h"

namespace slipway {
namespace {

TEST(DirectoryLock, OneHasItAndTheNextWaits) {
  const std::string directory = testing::TempDir() + "/locked";
  std::filesystem::create_directory(directory);
  absl::StatusOr<UniqueFd> first = LockDirectory(directory);
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status refused = LockDirectory(directory, absl::ZeroDuration()).status();
  EXPECT_EQ(refused, absl::FailedPreconditionError(directory + " is in use by another process"));
  std::thread later([&] {
    absl::SleepFor(absl::Milliseconds(50));
    first->reset();
  });
  EXPECT_TRUE(LockDirectory(directory).ok());
  later.join();
}

TEST(DirectoryLock, NoSuchDirectory) {
  EXPECT_TRUE(absl::IsNotFound(LockDirectory("/nosuch/directory").status()));
}

}  // namespace
}  // namespace slipway
