#ifndef GATEWAY_BUILDKIT_BUILD_RUN_H_
#define GATEWAY_BUILDKIT_BUILD_RUN_H_

#include <string>

#include "absl/status/statusor.h"
#include "gateway/buildkit/build_attributes.h"
#include "gateway/buildkit/build_progress.h"
#include "gateway/buildkit/cancel_hook.h"
#include "gateway/buildkit/sessions.h"
#include "gateway/clients/backends.h"
#include "gateway/http/coroutine.h"

namespace slipway::gateway {

// Builds what a client of BuildKit asks for: takes files, secrets and credentials from its session,
// and has the build service do the work. Returns the image's id. All outlive the coroutine.
Awaitable<absl::StatusOr<std::string>> RunBuildKitBuild(Backends& backends, BuildSessions& sessions,
                                                        BuildKitBuild build,
                                                        BuildProgress& progress, CancelHook& cancel,
                                                        CallOptions options);

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_BUILD_RUN_H_
