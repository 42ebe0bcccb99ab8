#ifndef RUNTIME_AGENT_STORE_RECORD_CODEC_H_
#define RUNTIME_AGENT_STORE_RECORD_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime-agent/domain/actual.h"
#include "runtime-agent/domain/definition.h"
#include "runtime-agent/network/network_definition.h"

// Records as bytes on disk and back. DataLoss for bytes that are no such record. Thread-safe.
namespace slipway::agent {

std::string EncodeDefinition(const Definition& definition);
absl::StatusOr<Definition> DecodeDefinition(absl::string_view bytes);
std::string EncodeActual(const Actual& actual);
absl::StatusOr<Actual> DecodeActual(absl::string_view bytes);
std::string EncodeEvent(const HostEvent& event);
absl::StatusOr<HostEvent> DecodeEvent(absl::string_view bytes);
std::string EncodeNetwork(const NetworkDefinition& network);
absl::StatusOr<NetworkDefinition> DecodeNetwork(absl::string_view bytes);
std::string EncodeExec(const ExecRecord& exec);
absl::StatusOr<ExecRecord> DecodeExec(absl::string_view bytes);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_STORE_RECORD_CODEC_H_
