#ifndef RUNTIME_AGENT_RPC_PROBE_CALL_H_
#define RUNTIME_AGENT_RPC_PROBE_CALL_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "runtime-agent/domain/runtime.h"
#include "runtime-agent/streams/peer.h"
#include "slipway/agent/v1/agent.grpc.pb.h"

namespace slipway::agent {

// One RunProbe call: starts an exec, collects what it writes, kills it when its time is over. No
// thread waits for it. Lives on the loop until gRPC is done with it.
class ProbeCall : public grpc::ServerUnaryReactor,
                  public StreamPeer,
                  public std::enable_shared_from_this<ProbeCall> {
 public:
  // `runtime` outlives the call.
  static ProbeCall* Start(Runtime* runtime, const v1::RunProbeRequest& request,
                          v1::RunProbeResponse* response);

  void OnDone() override;

  // StreamPeer
  void Ready(bool tty) override;
  void Output(uint8_t stream, std::string data) override;
  void InputDone() override {}
  void End(int exit_code) override;
  void Fail(absl::Status status) override;
  void WantInput() override {}

 private:
  ProbeCall(Runtime* runtime, const v1::RunProbeRequest& request, v1::RunProbeResponse* response);
  void Run();
  void Attach(int64_t timeout_ns);
  void TakeMore();
  void TimeOut();
  void Conclude(const absl::Status& status);

  Runtime* const runtime_;
  const ExecCommand command_;
  const int64_t timeout_ns_;
  const size_t limit_bytes_;
  v1::RunProbeResponse* const response_;
  std::shared_ptr<ProbeCall> self_;
  // Only on the loop.
  std::shared_ptr<StreamSource> source_;
  std::string output_;
  bool timed_out_ = false;
  bool finished_ = false;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_RPC_PROBE_CALL_H_
