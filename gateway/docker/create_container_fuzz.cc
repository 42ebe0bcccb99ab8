#include <boost/json/parse.hpp>
#include <cstddef>
#include <cstdint>

#include "gateway/docker/container_json.h"
#include "gateway/docker/create_container.h"

// Any JSON becomes a spec that inspect can show, or an error.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  boost::system::error_code error;
  const boost::json::value body = boost::json::parse(
      boost::json::string_view(reinterpret_cast<const char*>(data), size), error);
  if (error) return 0;
  const auto spec = slipway::gateway::SpecFromJson(body);
  if (!spec.ok()) return 0;
  slipway::container::v1::Container container;
  *container.mutable_spec() = *spec;
  slipway::gateway::ContainerToJson(container, slipway::gateway::kMaxApiVersion);
  slipway::gateway::ContainerSummaryToJson(container, 1);
  return 0;
}
