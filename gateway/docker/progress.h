#ifndef GATEWAY_DOCKER_PROGRESS_H_
#define GATEWAY_DOCKER_PROGRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "slipway/image/v1/image.pb.h"

// The messages in the streams of pull, load and import: one JSON object a line, "\r\n" behind it,
// as dockerd writes them. Pure.
namespace slipway::gateway {

// {"status":"Pulling from library/redis","id":"7"}
std::string StatusMessage(absl::string_view status, absl::string_view id = "");

// {"stream":"Loaded image: redis:7\n"}
std::string StreamMessage(absl::string_view text);

// {"errorDetail":{"message":"..."},"error":"..."}
std::string ErrorMessage(absl::string_view message);

// A layer's step with its bar. `loading` says it in the words of `docker load`.
std::string LayerMessage(const slipway::image::v1::PullLayerProgress& progress, bool loading);

// The two messages of a tag that was pushed: for people, and for programs.
std::string PushedMessages(absl::string_view tag, absl::string_view digest, int64_t size_bytes);

// "[======>      ]  1.2MB/3MB": the text that clients print who do not draw the bar themselves.
std::string ProgressBar(int64_t current, int64_t total);

// "1.234MB": four digits at most, decimal units.
std::string HumanSize(int64_t bytes);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_PROGRESS_H_
