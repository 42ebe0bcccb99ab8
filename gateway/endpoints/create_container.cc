#include "gateway/docker/create_container.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gateway/docker/image_reference.h"
#include "gateway/docker/json_build.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {

namespace json = boost::json;
namespace pb = slipway::container::v1;

Awaitable<absl::Status> ContainerCreate(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const json::value body, co_await request.http.ReadJson());
  pb::CreateContainerRequest create;
  std::vector<std::string> warnings;
  CO_ASSIGN_OR_RETURN(*create.mutable_spec(), SpecFromJson(body, &warnings));
  create.set_name(std::string(absl::StripPrefix(request.query.Get("name"), "/")));
  const std::string platform = request.query.Get("platform");
  if (!platform.empty()) {
    CO_ASSIGN_OR_RETURN(*create.mutable_spec()->mutable_platform(), ParsePlatform(platform));
  }
  const std::string image = create.spec().image();
  auto created =
      co_await request.backends.Call(request.backends.container(), &ContainerCalls::CreateContainer,
                                     std::move(create), request.options());
  // Clients pull and try again when they see this.
  if (!created.ok()) co_return NameMissing(created.status(), "image", image);
  json::object answer;
  answer["Id"] = created->id();
  for (std::string& warning : warnings) created->add_warnings(std::move(warning));
  answer["Warnings"] = StringArray(created->warnings());
  co_return co_await request.http.SendJson(201, answer);
}

}  // namespace slipway::gateway
