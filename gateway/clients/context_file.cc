#include "gateway/clients/context_file.h"

#include <fcntl.h>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>

#include "absl/strings/str_cat.h"
#include "base/os/descriptor_door.h"
#include "base/os/file.h"

namespace slipway::gateway {
namespace {

// Does `work` in one of the threads; the coroutine goes on in its own.
template <typename Work>
Awaitable<void> RunIn(asio::thread_pool& threads, Work& work) {
  auto start = [&](auto handler) {
    auto executor = asio::get_associated_executor(handler);
    asio::post(threads, [&work, executor, handler = std::move(handler)]() mutable {
      work();
      asio::post(executor, std::move(handler));
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
}

}  // namespace

Awaitable<absl::StatusOr<std::unique_ptr<ContextFile>>> ContextFile::Create(FilePlace& place,
                                                                            std::string door) {
  if (place.directory().empty() || door.empty()) {
    co_return absl::UnavailableError("no place for files that others read");
  }
  std::unique_ptr<ContextFile> file(new ContextFile(place));
  absl::Status status;
  auto work = [&] {
    auto fd = OpenFile(place.directory(), O_TMPFILE | O_RDWR, 0600);
    status = fd.status();
    if (!status.ok()) return;
    file->fd_ = *std::move(fd);
    auto token = GiveDescriptor(door, file->fd_.get());
    status = token.status();
    if (status.ok()) file->token_ = *std::move(token);
  };
  co_await RunIn(place.threads(), work);
  if (!status.ok()) co_return status;
  co_return file;
}

Awaitable<absl::Status> ContextFile::Append(absl::string_view bytes) {
  absl::Status status;
  auto work = [&] { status = WriteAll(fd_.get(), bytes, "a build's context"); };
  co_await RunIn(place_.threads(), work);
  if (status.ok()) written_ += bytes.size();
  co_return status;
}

}  // namespace slipway::gateway
