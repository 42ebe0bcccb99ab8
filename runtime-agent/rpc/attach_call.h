#ifndef RUNTIME_AGENT_RPC_ATTACH_CALL_H_
#define RUNTIME_AGENT_RPC_ATTACH_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "runtime-agent/streams/io_loop.h"
#include "runtime-agent/streams/peer.h"
#include "slipway/agent/v1/agent.pb.h"

namespace slipway::agent {

// One AttachContainer or AttachExec call: a stream peer whose other end is gRPC. gRPC's threads
// only post to the loop; one read and one write are under way at most.
class AttachCall : public grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>,
                   public StreamPeer,
                   public std::enable_shared_from_this<AttachCall> {
 public:
  // Finds what the first message names and attaches the peer to it. Called on the loop.
  using Opener = std::function<absl::StatusOr<std::shared_ptr<StreamSource>>(
      const v1::AttachStart& start, std::shared_ptr<StreamPeer> peer)>;

  // `loop` outlives the call.
  static AttachCall* Start(IoLoop* loop, Opener opener);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void Ready(bool tty) override;
  void Output(uint8_t stream, std::string data) override;
  void InputDone() override;
  void End(int exit_code) override;
  void Fail(absl::Status status) override;
  void WantInput() override;

 private:
  AttachCall(IoLoop* loop, Opener opener) : loop_(loop), opener_(std::move(opener)) {}
  void OnMessage(bool ok);
  void Open();
  void Write();
  void Conclude(const absl::Status& status);
  void Leave();

  IoLoop* const loop_;
  Opener opener_;
  std::shared_ptr<AttachCall> self_;
  v1::AttachRequest request_;
  v1::AttachResponse response_;
  // Only on the loop.
  std::shared_ptr<StreamSource> source_;
  bool reading_ = false;
  bool input_ended_ = false;
  bool writing_ = false;
  bool last_ = false;  // response_ is the last message
  bool finished_ = false;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_RPC_ATTACH_CALL_H_
