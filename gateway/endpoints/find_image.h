#ifndef GATEWAY_ENDPOINTS_FIND_IMAGE_H_
#define GATEWAY_ENDPOINTS_FIND_IMAGE_H_

#include <string>

#include "absl/status/statusor.h"
#include "gateway/endpoints/api_request.h"

namespace slipway::gateway {

// The image by its name, id or prefix; Docker's words when there is none, and when it is one for
// another platform than the request's `platform`. An image here has one platform.
Awaitable<absl::StatusOr<slipway::image::v1::Image>> FindImage(ApiRequest& request,
                                                               std::string name);

}  // namespace slipway::gateway

#endif  // GATEWAY_ENDPOINTS_FIND_IMAGE_H_
