#ifndef SERVICES_CONTAINER_RPC_WIRE_CODEC_H_
#define SERVICES_CONTAINER_RPC_WIRE_CODEC_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/container/domain/verbs.h"
#include "services/container/model/container.h"
#include "services/container/model/event.h"
#include "slipway/container/v1/container.pb.h"

// Domain values to messages of slipway.container.v1 and back. Pure functions, thread-safe.
namespace slipway::container {

// What GetContainer and, without `whole`, ListContainers show: a list leaves out the client's data.
void PutContainer(const Container& from, bool whole, v1::Container* to);
void PutEvent(const Event& from, slipway::common::v1::Event* to);
ListQuery GetListQuery(const v1::ListContainersRequest& from);
ExecSpec GetExecSpec(const v1::ExecSpec& from);
void PutExec(const ExecRecord& from, v1::GetExecResponse* to);
UpdateCommand GetUpdate(const v1::UpdateContainerRequest& from);
PruneCommand GetPrune(const v1::PruneContainersRequest& from);
void PutSize(const ContainerSize& from, v1::Container* to);

struct Access {
  std::string action;  // Docker's name
  StringMap attributes;
};
// InvalidArgument for an action that is not known.
absl::StatusOr<Access> GetAccess(const v1::RecordAccessRequest& from);
WaitCondition GetCondition(v1::WaitContainerRequest::Condition from);

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_RPC_WIRE_CODEC_H_
