#ifndef RUNTIME_AGENT_STREAMS_CONTAINER_ATTACH_H_
#define RUNTIME_AGENT_STREAMS_CONTAINER_ATTACH_H_

#include <functional>
#include <memory>
#include <string>

#include "runtime-agent/streams/input_queue.h"
#include "runtime-agent/streams/io_loop.h"
#include "runtime-agent/streams/output.h"
#include "runtime-agent/streams/peer.h"

namespace slipway::agent {

// One client attached to a container: output of the run that goes on, from the committed end of the
// spool at this moment, or of the next run from its beginning; input into that run. Attach is
// thread-safe, the rest happens on the loop.
class ContainerAttach : public StreamSource, public std::enable_shared_from_this<ContainerAttach> {
 public:
  static constexpr size_t kBatchBytes = 64 << 10;

  struct Target {
    IoLoop* loop = nullptr;
    std::shared_ptr<Output> output;
    bool tty = false;
    bool open_stdin = false;
    bool stdin_once = false;
    // Of the current run; null while there is none, or no input.
    std::function<std::shared_ptr<UniqueFd>()> input;
    // Takes stdin away from the container for good.
    std::function<void()> close_input;
    std::function<void(uint32_t rows, uint32_t columns)> resize;
    // The session needs Progress no more.
    std::function<void()> done;
  };

  static std::shared_ptr<ContainerAttach> Attach(Target target, const AttachOptions& options,
                                                 std::shared_ptr<StreamPeer> peer);

  // Output grew, a run began or a run ended.
  void Progress();

  void PeerReady() override;
  void Input(std::string data) override;
  void CloseInput() override;
  void Resize(uint32_t rows, uint32_t columns) override;
  void PeerGone() override;

 private:
  ContainerAttach(Target target, const AttachOptions& options, std::shared_ptr<StreamPeer> peer);
  void Begin();
  void Pump();
  // The next bytes of one stream, several records together; false when there are none yet.
  bool SendSome(uint64_t limit);
  void Finish();
  bool Wanted(uint8_t stream) const {
    return stream == 1 ? options_.standard_out : options_.standard_error;
  }

  const Target target_;
  const AttachOptions options_;
  std::shared_ptr<StreamPeer> peer_;
  std::unique_ptr<InputQueue> input_;
  std::unique_ptr<Output::Reader> reader_;
  uint64_t run_ = 0;  // whose output this is
  bool peer_ready_ = false;
  bool input_ended_ = false;
  bool input_done_told_ = false;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_STREAMS_CONTAINER_ATTACH_H_
