#ifndef RUNTIME_AGENT_STREAMS_EXEC_STREAMS_H_
#define RUNTIME_AGENT_STREAMS_EXEC_STREAMS_H_

#include <memory>
#include <optional>
#include <string>

#include "base/os/unique_fd.h"
#include "runtime-agent/streams/input_queue.h"
#include "runtime-agent/streams/io_loop.h"
#include "runtime-agent/streams/peer.h"

namespace slipway::agent {

// Our ends of an exec's streams; all non-blocking.
struct ExecDescriptors {
  std::shared_ptr<UniqueFd> input;  // stdin's write end, or the terminal
  UniqueFd standard_out;
  UniqueFd standard_error;
  bool terminal = false;  // output is read from `input`
};

// The streams of one exec, for the one client that attaches. What nobody attaches to within
// kAttachPatience is read and dropped, so that the process does not block. Create, Exited and
// Attach are thread-safe; everything else happens on the loop.
class ExecStreams : public StreamSource, public std::enable_shared_from_this<ExecStreams> {
 public:
  static constexpr absl::Duration kAttachPatience = absl::Seconds(10);
  static constexpr size_t kReadBytes = 64 << 10;

  // `discard`: nobody will attach.
  static std::shared_ptr<ExecStreams> Create(IoLoop* loop, ExecDescriptors descriptors,
                                             bool discard);

  // The process ended: what it wrote is read to the end and the client is told.
  void Exited(int exit_code);
  // FailedPrecondition when somebody is or was attached.
  void Attach(std::shared_ptr<StreamPeer> peer, const AttachOptions& options);

  // StreamSource
  void PeerReady() override;
  void Input(std::string data) override;
  void CloseInput() override;
  void Resize(uint32_t rows, uint32_t columns) override;
  void PeerGone() override;

 private:
  ExecStreams(IoLoop* loop, ExecDescriptors descriptors);

  struct Source {
    int fd = -1;
    uint8_t stream = 1;
    bool watched = false;
    bool ended = true;
  };

  void Pump();
  bool ReadFrom(Source& source);
  void WatchSource(Source& source);
  void CloseAll();
  bool MayRead() const { return discard_ || (peer_ != nullptr && peer_ready_); }

  IoLoop* const loop_;
  ExecDescriptors descriptors_;
  Source sources_[2];
  int turn_ = 0;
  std::unique_ptr<InputQueue> input_;
  std::shared_ptr<StreamPeer> peer_;
  AttachOptions options_;
  bool attached_once_ = false;
  bool peer_ready_ = false;
  bool discard_ = false;
  std::optional<int> exit_code_;
  bool ended_ = false;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_STREAMS_EXEC_STREAMS_H_
