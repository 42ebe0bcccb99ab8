#ifndef SERVICES_CONTAINER_MODEL_EVENT_H_
#define SERVICES_CONTAINER_MODEL_EVENT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "services/container/model/spec.h"

namespace slipway::container {

// One entry of the event log, in Docker's words (slipway.common.v1.Event). Immutable once
// published.
struct Event {
  uint64_t sequence = 0;
  int64_t time_unix_ns = 0;
  std::string type;
  std::string action;
  std::string actor_id;
  StringMap attributes;
  std::string host_id;
};

using EventPtr = std::shared_ptr<const Event>;

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_MODEL_EVENT_H_
