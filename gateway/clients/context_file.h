#ifndef GATEWAY_CLIENTS_CONTEXT_FILE_H_
#define GATEWAY_CLIENTS_CONTEXT_FILE_H_

#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"
#include "gateway/http/coroutine.h"

namespace slipway::gateway {

// Where the gateway writes what a service reads as a file, and the threads that do so: a slow disk
// holds up no connection. Thread-safe.
class FilePlace {
 public:
  // Files have no name, and are in `directory`; empty: in none, and there are no files then.
  explicit FilePlace(std::string directory) : directory_(std::move(directory)) {}

  const std::string& directory() const { return directory_; }
  boost::asio::thread_pool& threads() { return threads_; }
  // Waits for what is being written. Before the coroutines that wait for it are dropped.
  void Stop() { threads_.join(); }

 private:
  const std::string directory_;
  boost::asio::thread_pool threads_{2};
};

// A build's context on its way to the build service: a file that both have open, so that its bytes
// go through no second socket. Used by one coroutine.
class ContextFile {
 public:
  // Gives the file to the service whose door (base/os/descriptor_door.h) is at `door`.
  static Awaitable<absl::StatusOr<std::unique_ptr<ContextFile>>> Create(FilePlace& place,
                                                                        std::string door);

  Awaitable<absl::Status> Append(absl::string_view bytes);
  // That the service knows the file by.
  const std::string& token() const { return token_; }
  uint64_t written_bytes() const { return written_; }

 private:
  explicit ContextFile(FilePlace& place) : place_(place) {}

  FilePlace& place_;
  UniqueFd fd_;
  std::string token_;
  uint64_t written_ = 0;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_CLIENTS_CONTEXT_FILE_H_
