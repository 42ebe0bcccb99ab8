#include "services/build/rpc/context_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/os/file.h"

namespace slipway::build {
namespace {

std::shared_ptr<UniqueFd> NewFile() {
  return std::make_shared<UniqueFd>(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

absl::StatusOr<std::string> Drain(ContextQueue& queue) {
  std::string out;
  while (true) {
    const absl::StatusOr<absl::string_view> piece = queue.Next();
    if (!piece.ok()) return piece.status();
    if (piece->empty()) return out;
    out.append(piece->data(), piece->size());
  }
}

TEST(ContextQueue, WhatMakesNoSense) {
  const auto file = NewFile();
  {
    ContextQueue queue([] {});  // progress of no file
    EXPECT_FALSE(queue.PushFile(nullptr, 1));
    EXPECT_TRUE(absl::IsInvalidArgument(queue.Next().status()));
  }
  {
    ContextQueue queue([] {});  // two files
    EXPECT_TRUE(queue.PushFile(file, 0));
    EXPECT_FALSE(queue.PushFile(file, 0));
    EXPECT_TRUE(absl::IsInvalidArgument(queue.Next().status()));
  }
  {
    ContextQueue queue([] {});  // less than before
    EXPECT_TRUE(queue.PushFile(file, 5));
    EXPECT_FALSE(queue.PushFile(nullptr, 4));
  }
  {
    ContextQueue queue([] {});  // bytes behind a file, and a file behind bytes
    EXPECT_TRUE(queue.PushFile(file, 0));
    EXPECT_FALSE(queue.Push("x"));
    ContextQueue other([] {});
    EXPECT_TRUE(other.Push("x"));
    EXPECT_FALSE(other.PushFile(file, 0));
  }
}

TEST(ContextQueue, FileThatIsShorterThanItIsSaidToBe) {
  ContextQueue queue([] {});
  const auto file = NewFile();
  ASSERT_TRUE(WriteAll(file->get(), "abc", "a test's file").ok());
  queue.PushFile(file, 10);
  queue.End();
  EXPECT_TRUE(absl::IsDataLoss(Drain(queue).status()));
}

TEST(ContextQueue, SenderThatGoes) {
  ContextQueue queue([] {});
  queue.PushFile(NewFile(), 0);
  std::thread sender([&queue] { queue.Abort(); });
  EXPECT_TRUE(absl::IsCancelled(queue.Next().status()));
  sender.join();
}

TEST(ContextQueue, FileThatGrows) {
  ContextQueue queue([] {});
  std::string all;
  std::thread sender([&] {
    const auto file = NewFile();
    std::string expected;
    queue.PushFile(file, 0);
    for (int i = 0; i < 50; ++i) {
      const std::string piece(20'000, static_cast<char>('a' + i % 26));
      ASSERT_TRUE(WriteAll(file->get(), piece, "a test's file").ok());
      expected += piece;
      ASSERT_TRUE(queue.PushFile(nullptr, expected.size()));
    }
    queue.End();
    all = expected;
  });
  EXPECT_NE(queue.File(), nullptr);
  const auto read = Drain(queue);
  sender.join();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, all);
}

TEST(ContextQueue, PiecesStallTheSender) {
  int room = 0;
  ContextQueue queue([&room] { ++room; });
  size_t pushed = 1;
  while (queue.Push(std::string(1 << 20, 'x'))) ++pushed;
  queue.End();
  EXPECT_EQ(queue.File(), nullptr);
  const auto read = Drain(queue);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->size(), pushed << 20);
  EXPECT_EQ(room, 1);
}

}  // namespace
}  // namespace slipway::build
