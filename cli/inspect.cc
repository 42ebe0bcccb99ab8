#include <google/protobuf/util/json_util.h>

#include <cstdio>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/rpc/status_conversion.h"
#include "cli/context.h"

namespace slipway::cli {
namespace {

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) return absl::InternalError(absl::StrCat("print JSON: ", status.ToString()));
  return json;
}

// A container of that name, or else an image.
absl::StatusOr<std::string> Inspect(Context& context, const std::string& name) {
  {
    grpc::ClientContext call;
    container::v1::GetContainerRequest request;
    request.set_container(name);
    container::v1::GetContainerResponse response;
    const grpc::Status status = context.containers().GetContainer(&call, request, &response);
    if (status.ok()) return ToJson(response.container());
    if (status.error_code() != grpc::StatusCode::NOT_FOUND) return FromGrpc(status);
  }
  grpc::ClientContext call;
  image::v1::GetImageRequest request;
  request.set_reference(name);
  image::v1::GetImageResponse response;
  const grpc::Status status = context.images().GetImage(&call, request, &response);
  if (status.ok()) return ToJson(response.image());
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
    return absl::NotFoundError(absl::StrCat("no such container or image: ", name));
  }
  return FromGrpc(status);
}

}  // namespace

void AddInspect(CLI::App& app, Context& context) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* inspect = app.add_subcommand("inspect", "Show all of a container or an image as JSON");
  inspect->add_option("name", *names, "containers or images")->required();
  inspect->final_callback([&context, names] {
    std::vector<std::string> parts;
    for (const std::string& name : *names) {
      absl::StatusOr<std::string> json = Inspect(context, name);
      if (context.Check(json.status())) parts.push_back(*std::move(json));
    }
    std::printf("[\n%s]\n", absl::StrJoin(parts, ",\n").c_str());
  });
}

}  // namespace slipway::cli
