#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/service/service.h"
#include "cli/context.h"

namespace slipway::cli {
namespace {

template <typename Stub>
void PrintVersion(Context& context, const char* name, Stub& stub) {
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  common::v1::GetVersionResponse response;
  if (context.Check(stub.GetVersion(&call, common::v1::GetVersionRequest(), &response))) {
    std::printf("%-10s %s\n", name, response.version().version().c_str());
  }
}

}  // namespace

void AddVersion(CLI::App& app, Context& context) {
  CLI::App* version = app.add_subcommand("version", "Versions of this client and of the services");
  version->final_callback([&context] {
    std::printf("%-10s %s\n", "client", std::string(Version()).c_str());
    PrintVersion(context, "image", context.images());
    PrintVersion(context, "container", context.containers());
    PrintVersion(context, "log", context.logs());
  });
}

}  // namespace slipway::cli
