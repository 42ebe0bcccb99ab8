#ifndef CLI_ATTACH_H_
#define CLI_ATTACH_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"
#include "cli/context.h"

namespace slipway::cli {

// Finds ctrl-p ctrl-q in what a person types; a lone ctrl-p is passed on with the key after it. Not
// thread-safe.
class DetachKeys {
 public:
  // Appends to `out` what goes to the container; true when the sequence is complete.
  bool Feed(absl::string_view typed, std::string& out);

 private:
  bool after_ctrl_p_ = false;
};

struct AttachOptions {
  std::string id;
  bool tty = false;
  bool stdin_open = false;
  // Called with the number of a signal that this process was sent, when there is no terminal.
  std::function<void(int)> on_signal;
};

enum class AttachOutcome { kEnded, kDetached };

// Connects this process's stdin, stdout and stderr with a container or an exec. One use.
class AttachSession {
 public:
  using Stream = grpc::ClientReaderWriter<agent::v1::AttachRequest, agent::v1::AttachResponse>;
  using Open = std::function<std::unique_ptr<Stream>(grpc::ClientContext*)>;

  // Blocks the forwarded signals in this thread and those it starts, opens the stream and waits
  // until nothing of the output can be missed any more.
  static absl::StatusOr<std::unique_ptr<AttachSession>> Connect(AttachOptions options,
                                                                const Open& open);
  ~AttachSession();

  // Copies until the other side ends or the person detaches.
  absl::StatusOr<AttachOutcome> Run();

  // Of AttachEnd, once Run returned kEnded.
  int exit_code() const { return exit_code_; }

 private:
  explicit AttachSession(AttachOptions options) : options_(std::move(options)) {}
  void CopyInput();
  bool SendInput(absl::string_view typed);
  void HandleSignal();

  const AttachOptions options_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  UniqueFd signals_;
  UniqueFd stop_;
  DetachKeys keys_;
  bool detached_ = false;
  int exit_code_ = 0;
};

}  // namespace slipway::cli

#endif  // CLI_ATTACH_H_
