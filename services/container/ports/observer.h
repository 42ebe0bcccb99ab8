#ifndef SERVICES_CONTAINER_PORTS_OBSERVER_H_
#define SERVICES_CONTAINER_PORTS_OBSERVER_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/container/model/container.h"

namespace slipway::container {

// Who wants to know what happens, for figures and logs. Thread-safe; calls must not block.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void OperationDone(absl::string_view verb, const absl::Status& status,
                             absl::Duration duration) = 0;
  // One container more (or, negative, less) in a state.
  virtual void StateCount(State state, int change) = 0;
  virtual void EventWritten(absl::string_view action) = 0;
  virtual void WaiterCount(int change) = 0;
  virtual void WatcherCount(int change) = 0;
  // Something an operator should see.
  virtual void Warning(absl::string_view message, absl::string_view container_id,
                       const absl::Status& status) = 0;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_PORTS_OBSERVER_H_
