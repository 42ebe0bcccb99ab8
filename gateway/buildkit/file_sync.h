#ifndef GATEWAY_BUILDKIT_FILE_SYNC_H_
#define GATEWAY_BUILDKIT_FILE_SYNC_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "buildkit/session.grpc.pb.h"
#include "gateway/buildkit/sessions.h"
#include "gateway/clients/call.h"
#include "gateway/http/coroutine.h"

namespace slipway::gateway {

// Which files of a session.
struct FileSyncQuery {
  std::string directory;                  // what the client calls it: "context", "dockerfile"
  std::vector<std::string> exclude = {};  // patterns of .dockerignore
  std::vector<std::string> follow = {};   // only these, and what they link to; none: all
};

// Who gets the files: in the order in which the client walks them, one after the other.
class FileSink {
 public:
  virtual ~FileSink() = default;
  // `size` bytes follow by Append(), if it is a file with content.
  virtual Awaitable<absl::Status> Begin(const fsutil::types::Stat& stat, uint64_t size) = 0;
  virtual Awaitable<absl::Status> Append(absl::string_view content) = 0;
};

using FileSyncStream = BidiStream<fsutil::types::Packet, fsutil::types::Packet>;

absl::StatusOr<FileSyncStream> OpenFileSync(CallTracker& calls, const BuildSession& session,
                                            const FileSyncQuery& query, const CallOptions& options);

// Receives what `stream` has, to its end, with some MB of memory. ResourceExhausted for more than a
// million files; InvalidArgument for names that lead out, and for files that change meanwhile.
// `received` counts bytes of content.
Awaitable<absl::Status> ReceiveFiles(FileSyncStream stream, FileSink& sink, uint64_t& received);

// Small files by their paths; what is not there is left out.
Awaitable<absl::StatusOr<std::map<std::string, std::string>>> ReadSessionFiles(
    CallTracker& calls, BuildSessionPtr session, FileSyncQuery query, CallOptions options);

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_FILE_SYNC_H_
