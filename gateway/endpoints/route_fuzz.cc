#include <cstddef>
#include <cstdint>

#include "gateway/docker/filters.h"
#include "gateway/docker/image_reference.h"
#include "gateway/docker/registry_auth.h"
#include "gateway/docker/times.h"
#include "gateway/endpoints/route_table.h"
#include "gateway/http/url.h"

// A request target, and every query parameter that is parsed further.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace slipway::gateway;  // NOLINT
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto target = ParseTarget(text);
  if (!target.ok()) return 0;
  absl::string_view path = target->path;
  if (TakeVersion(path)) {
    for (const char* method : {"GET", "POST", "DELETE"}) FindRoute(method, path);
  }
  (void)Filters::Parse(target->query.Get("filters"));
  (void)ParseTimestamp("since", target->query.Get("since"));
  (void)ParsePlatform(target->query.Get("platform"));
  (void)JoinReference(target->query.Get("fromImage"), target->query.Get("tag"));
  (void)ParseRegistryAuth(target->query.Get("auth"));
  (void)target->query.GetInt("h");
  return 0;
}
