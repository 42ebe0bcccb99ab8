#ifndef GATEWAY_BUILDKIT_COPY_SINK_H_
#define GATEWAY_BUILDKIT_COPY_SINK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "gateway/buildkit/file_sync.h"

namespace slipway::gateway {

// Files to a client, each when it is asked for (tonistiigi/fsutil, send.go): it asks as soon as it
// was told of one. Small files are held, some MB of them, so that not each costs a way there and
// back. Sockets are left out. Used by one coroutine.
//
// Unavailable when the client takes no more, Unknown with what it says, InvalidArgument for
// requests that make no sense and for names that are not UTF-8, which the protocol does not have.
class CopySink : public FileSink {
 public:
  explicit CopySink(FileSyncStream target) : target_(std::move(target)) {}

  Awaitable<absl::Status> Begin(const fsutil::types::Stat& stat, uint64_t size) override;
  Awaitable<absl::Status> Append(absl::string_view content) override;
  // After the last file: returns when the client has written all.
  Awaitable<absl::Status> Finish();

 private:
  using Packet = fsutil::types::Packet;

  Awaitable<absl::Status> EndLarge();
  // Until each file that is held was asked for.
  Awaitable<absl::Status> SendHeld();
  // Empty: the end of the file.
  Awaitable<absl::Status> Data(uint32_t id, std::string content);
  Awaitable<absl::Status> Write(Packet packet);
  Awaitable<absl::StatusOr<Packet>> Next();

  FileSyncStream target_;
  uint32_t told_ = 0;                     // files so far; their numbers are the places among them
  std::optional<uint32_t> large_;         // is being sent
  std::optional<uint32_t> filling_;       // of those that are held
  std::map<uint32_t, std::string> held_;  // content by number
  size_t held_bytes_ = 0;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_COPY_SINK_H_
