#ifndef GATEWAY_BUILDKIT_SSH_AGENTS_H_
#define GATEWAY_BUILDKIT_SSH_AGENTS_H_

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "buildkit/ssh_forward.grpc.pb.h"
#include "gateway/buildkit/sessions.h"
#include "gateway/buildkit/signal.h"
#include "gateway/clients/call.h"
#include "gateway/http/coroutine.h"
#include "slipway/build/v1/build.pb.h"

namespace slipway::gateway {

// Carries what RUN steps say to SSH agents to the session that has these, and back. Used on one
// thread.
class SshAgents : public std::enable_shared_from_this<SshAgents> {
 public:
  // `calls` outlives it.
  SshAgents(CallTracker& calls, BuildSessionPtr session, CallOptions options,
            const asio::any_io_executor& executor)
      : calls_(calls), session_(std::move(session)), options_(options), changed_(executor) {}

  // From a step.
  Awaitable<void> Take(slipway::build::v1::AgentBytes bytes);
  // For a step; false after End().
  Awaitable<bool> Next(slipway::build::v1::AgentBytes& bytes);
  void End();

 private:
  using Bytes = moby::sshforward::v1::BytesMessage;
  using Stream = BidiStream<Bytes, Bytes>;

  Stream Open(const std::string& agent);
  Awaitable<void> Answer(uint32_t connection, Stream stream);
  void Push(slipway::build::v1::AgentBytes bytes);

  CallTracker& calls_;
  const BuildSessionPtr session_;
  const CallOptions options_;
  std::map<uint32_t, Stream> open_;
  std::deque<slipway::build::v1::AgentBytes> answers_;
  Signal changed_;
  bool over_ = false;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_SSH_AGENTS_H_
