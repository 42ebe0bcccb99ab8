#ifndef RUNTIME_AGENT_RPC_EVENT_WATCH_H_
#define RUNTIME_AGENT_RPC_EVENT_WATCH_H_

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>

#include "runtime-agent/domain/event_log.h"
#include "runtime-agent/streams/io_loop.h"
#include "slipway/agent/v1/agent.pb.h"

namespace slipway::agent {

// One watcher of the host's events. Lives on the loop until the call is over.
class EventWatch : public grpc::ServerWriteReactor<v1::WatchAgentEventsResponse>,
                   public std::enable_shared_from_this<EventWatch> {
 public:
  // `events` and `loop` outlive the watch.
  static EventWatch* Start(EventLog* events, IoLoop* loop, uint64_t after);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  EventWatch(EventLog* events, IoLoop* loop, uint64_t after)
      : events_(events), loop_(loop), after_(after) {}
  void Step();
  void End(const absl::Status& status);

  EventLog* const events_;
  IoLoop* const loop_;
  std::shared_ptr<EventWatch> self_;
  // Only on the loop.
  uint64_t after_;
  uint64_t watch_ = 0;
  std::deque<HostEvent> pending_;
  v1::WatchAgentEventsResponse message_;
  bool writing_ = false;
  bool ended_ = false;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_RPC_EVENT_WATCH_H_
