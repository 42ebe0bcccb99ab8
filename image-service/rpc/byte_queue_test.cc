#include "image-service/rpc/byte_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>

#include "base/os/file.h"

namespace slipway::image {
namespace {

std::shared_ptr<const UniqueFd> FileOf(const std::string& content) {
  auto file = std::make_shared<UniqueFd>(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  EXPECT_TRUE(WriteAll(file->get(), content, "a test's file").ok());
  return file;
}

// Everything until the end.
absl::StatusOr<std::string> Drain(ByteQueue& queue) {
  std::string out;
  while (true) {
    const absl::StatusOr<absl::string_view> piece = queue.Next();
    if (!piece.ok()) return piece.status();
    if (piece->empty()) return out;
    out.append(piece->data(), piece->size());
  }
}

TEST(ByteQueue, FileThatIsCut) {
  ByteQueue queue([] {});
  queue.Push(FilePart{FileOf("short"), 3, 10});
  queue.End();
  EXPECT_TRUE(absl::IsDataLoss(Drain(queue).status()));
}

TEST(ByteQueue, FileThatCannotBeRead) {
  ByteQueue queue([] {});
  auto directory = std::make_shared<UniqueFd>(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  queue.Push(FilePart{std::move(directory), 0, 10});
  queue.End();
  EXPECT_FALSE(Drain(queue).ok());
}

TEST(ByteQueue, AbortEndsAlsoWhatIsBeingRead) {
  ByteQueue queue([] {});
  queue.Push(FilePart{FileOf(std::string(1 << 20, 'x')), 0, 1 << 20});
  ASSERT_TRUE(queue.Next().ok());
  queue.Abort();
  EXPECT_TRUE(absl::IsCancelled(queue.Next().status()));
}

TEST(ByteQueue, TheFirstReasonStays) {
  ByteQueue queue([] {});
  queue.Abort(absl::InvalidArgumentError("no such file"));
  queue.Abort();
  EXPECT_TRUE(absl::IsInvalidArgument(queue.Next().status()));
}

TEST(ByteQueue, BytesAndFilesInOrder) {
  ByteQueue queue([] {});
  const std::string large(700 << 10, 'y');
  const auto file = FileOf("0123456789" + large);
  queue.Push(std::string("head "));
  queue.Push(FilePart{file, 2, 3});
  queue.Push(std::string());
  queue.Push(FilePart{file, 0, 0});
  queue.Push(std::string(" middle "));
  queue.Push(FilePart{file, 10, large.size()});
  queue.End();
  const auto all = Drain(queue);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(*all, "head 234 middle " + large);
}

TEST(ByteQueue, APipeUpToItsEndAndWhatFollows) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  ByteQueue queue([] {});
  queue.Push(std::string("head "));
  queue.Push(PipeEnd{UniqueFd(ends[0])});
  queue.Push(std::string(" tail"));
  queue.End();
  const std::string large(700 << 10, 'z');
  std::thread writer([&] {
    EXPECT_TRUE(WriteAll(ends[1], large, "a pipe").ok());
    close(ends[1]);
  });
  const auto all = Drain(queue);
  writer.join();
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(*all, "head " + large + " tail");
}

TEST(ByteQueue, AbortEndsTheWaitForAPipe) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd silent(ends[1]);
  ByteQueue queue([] {});
  queue.Push(PipeEnd{UniqueFd(ends[0])});
  std::thread aborter([&] { queue.Abort(); });
  EXPECT_TRUE(absl::IsCancelled(queue.Next().status()));
  aborter.join();
}

TEST(ByteQueue, ManyPartsStallTheSender) {
  int room = 0;
  ByteQueue queue([&room] { ++room; });
  const auto file = FileOf("x");
  size_t pushed = 1;
  while (queue.Push(FilePart{file, 0, 1})) ASSERT_LT(++pushed, ByteQueue::kRoomBytes);
  queue.End();
  const auto all = Drain(queue);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->size(), pushed);
  EXPECT_EQ(room, 1);
}

}  // namespace
}  // namespace slipway::image
