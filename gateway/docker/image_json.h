#ifndef GATEWAY_DOCKER_IMAGE_JSON_H_
#define GATEWAY_DOCKER_IMAGE_JSON_H_

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "gateway/docker/api_version.h"
#include "slipway/image/v1/image.pb.h"

// Images as the Engine API shows them. Pure.
namespace slipway::gateway {

// ImageInspect's answer.
boost::json::object ImageToJson(const slipway::image::v1::Image& image, ApiVersion version);

// An element of ImageList's answer.
// `storage` is where the object and all in it lie.
boost::json::object ImageSummaryToJson(const slipway::image::v1::Image& image, ApiVersion version,
                                       const boost::json::storage_ptr& storage = {});

// ImageHistory's answer, newest first.
boost::json::array HistoryToJson(const slipway::image::v1::Image& image);

boost::json::object HealthcheckToJson(const slipway::image::v1::Healthcheck& check);

}  // namespace slipway::gateway

#endif  // GATEWAY_DOCKER_IMAGE_JSON_H_
