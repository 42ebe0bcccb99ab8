#include "gateway/buildkit/ssh_agents.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <optional>
#include <utility>

namespace slipway::gateway {
namespace {

namespace pb = slipway::build::v1;
using SshCalls = moby::sshforward::v1::SSH::StubInterface::async_interface;

constexpr size_t kMaxConnections = 64;
constexpr size_t kMaxAnswers = 64;  // that wait for the build to take them

}  // namespace

void SshAgents::Push(pb::AgentBytes bytes) {
  answers_.push_back(std::move(bytes));
  changed_.Notify();
}

Awaitable<void> SshAgents::Answer(uint32_t connection, Stream stream) {
  const std::shared_ptr<SshAgents> self = shared_from_this();
  Bytes message;
  while (co_await stream->Next(message)) {
    pb::AgentBytes bytes;
    bytes.set_connection(connection);
    bytes.set_data(std::move(*message.mutable_data()));
    Push(std::move(bytes));
    while (answers_.size() >= kMaxAnswers && !over_) co_await changed_.Wait();
  }
  co_await stream->Finish();
  open_.erase(connection);
  pb::AgentBytes end;
  end.set_connection(connection);
  end.set_end(true);
  Push(std::move(end));
}

SshAgents::Stream SshAgents::Open(const std::string& agent) {
  CallOptions options = options_;
  options.metadata.emplace_back("buildkit.ssh.id", agent);
  const std::unique_ptr<moby::sshforward::v1::SSH::StubInterface> stub =
      moby::sshforward::v1::SSH::NewStub(session_->channel);
  return OpenBidi(calls_, stub->async(), &SshCalls::ForwardAgent, options);
}

Awaitable<void> SshAgents::Take(pb::AgentBytes bytes) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  std::optional<Stream> known;
  if (const auto found = open_.find(bytes.connection()); found != open_.end()) {
    known = found->second;
  } else {
    if (bytes.agent().empty() || over_) co_return;
    if (open_.size() >= kMaxConnections) {
      pb::AgentBytes refused;
      refused.set_connection(bytes.connection());
      refused.set_end(true);
      Push(std::move(refused));
      co_return;
    }
    known = Open(bytes.agent());
    open_.emplace(bytes.connection(), *known);
    asio::co_spawn(executor, Answer(bytes.connection(), *known), asio::detached);
  }
  const Stream stream = *known;
  if (!bytes.data().empty()) {
    Bytes message;
    message.set_data(std::move(*bytes.mutable_data()));
    const bool taken = co_await stream->Write(std::move(message));
    if (!taken) co_return;
  }
  if (bytes.end()) stream->WritesDone();
}

Awaitable<bool> SshAgents::Next(pb::AgentBytes& bytes) {
  while (answers_.empty() && !over_) co_await changed_.Wait();
  if (answers_.empty()) co_return false;
  bytes = std::move(answers_.front());
  answers_.pop_front();
  changed_.Notify();
  co_return true;
}

void SshAgents::End() {
  over_ = true;
  for (auto& [connection, stream] : open_) stream->Cancel();
  changed_.Notify();
}

}  // namespace slipway::gateway
