#ifndef SERVICES_LOG_RPC_CONVERT_H_
#define SERVICES_LOG_RPC_CONVERT_H_

#include "absl/status/statusor.h"
#include "services/log/domain/entry_sink.h"
#include "services/log/domain/reading.h"
#include "services/log/domain/selection.h"
#include "services/log/ports/description.h"
#include "services/log/ports/record.h"
#include "slipway/log/v1/log.pb.h"

// Wire messages to what the domain speaks of and back. InvalidArgument names the field. Pure;
// thread-safe.
namespace slipway::log {

// The batch refers to the request's bytes.
absl::StatusOr<Batch> ParseBatch(const v1::AppendLogRequest& request);
absl::StatusOr<ReadOptions> ParseReadOptions(const v1::ReadLogRequest& request);
absl::StatusOr<SearchOptions> ParseSearch(const v1::LogSearch& search);
Selector ParseSelector(const v1::LogSelector& selector);
absl::StatusOr<LogDescription> ParseDescription(const v1::LogDescription& wire);
void FillDescription(const LogDescription& description, v1::LogDescription& wire);
void AddEntry(const Entry& entry, v1::ReadLogResponse& response);

}  // namespace slipway::log

#endif  // SERVICES_LOG_RPC_CONVERT_H_
