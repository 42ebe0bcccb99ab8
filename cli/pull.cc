#include <unistd.h>

#include <cstdio>

#include "base/rpc/status_conversion.h"
#include "cli/context.h"
#include "cli/layer_lines.h"
#include "cli/terminal.h"

namespace slipway::cli {

absl::Status Pull(Context& context, const std::string& reference, bool quiet) {
  grpc::ClientContext call;
  image::v1::PullImageRequest request;
  request.set_reference(reference);
  auto stream = context.images().PullImage(&call, request);
  image::v1::PullImageResponse response;
  LayerLines lines(IsTerminal(STDERR_FILENO));
  while (stream->Read(&response)) {
    if (quiet) continue;
    if (response.has_status()) {
      std::fprintf(stderr, "%s%s%s\n", response.status().id().c_str(),
                   response.status().id().empty() ? "" : ": ", response.status().text().c_str());
    } else if (response.has_layer()) {
      lines.Update(response.layer());
    } else if (response.has_done()) {
      std::fprintf(stderr, "%s %s\n",
                   response.done().was_up_to_date() ? "Image is up to date for"
                                                    : "Downloaded newer image for",
                   response.done().reference().c_str());
    }
  }
  return FromGrpc(stream->Finish());
}

void AddPull(CLI::App& app, Context& context) {
  auto references = std::make_shared<std::vector<std::string>>();
  auto quiet = std::make_shared<bool>(false);
  CLI::App* pull = app.add_subcommand("pull", "Fetch images from a registry");
  pull->add_flag("-q,--quiet", *quiet, "no progress");
  pull->add_option("image", *references, "name[:tag|@digest]")->required();
  pull->final_callback([&context, references, quiet] {
    for (const std::string& reference : *references) {
      if (context.Check(Pull(context, reference, *quiet))) std::printf("%s\n", reference.c_str());
    }
  });
}

}  // namespace slipway::cli
