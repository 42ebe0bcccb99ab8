#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/context.h"
#include "cli/format.h"

namespace slipway::cli {
namespace {

struct PsOptions {
  bool all = false, quiet = false, no_trunc = false;
  int last = 0;
  std::vector<std::string> labels, names;
};

std::string Command(const container::v1::Container& container, bool whole) {
  std::string text = container.path();
  for (const std::string& argument : container.args()) absl::StrAppend(&text, " ", argument);
  if (!whole && text.size() > 20) text = absl::StrCat(text.substr(0, 19), "…");
  return absl::StrCat("\"", text, "\"");
}

void Ps(Context& context, const PsOptions& options) {
  grpc::ClientContext call;
  container::v1::ListContainersRequest request;
  request.set_all(options.all);
  request.set_limit(options.last);
  for (const std::string& label : options.labels) request.add_labels(label);
  for (const std::string& name : options.names) request.add_names(name);
  container::v1::ListContainersResponse response;
  if (!context.Check(context.containers().ListContainers(&call, request, &response))) return;
  std::vector<std::vector<std::string>> rows = {
      {"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"}};
  const absl::Time now = absl::Now();
  for (const container::v1::Container& container : response.containers()) {
    const std::string id = options.no_trunc ? container.id() : ShortId(container.id());
    if (options.quiet) {
      std::printf("%s\n", id.c_str());
      continue;
    }
    rows.push_back({id, container.spec().image(), Command(container, options.no_trunc),
                    HumanDuration(now - absl::FromUnixNanos(container.created_unix_ns())) + " ago",
                    StatusText(container.state(), now), PortsText(container), container.name()});
  }
  if (!options.quiet) std::fputs(Table(rows).c_str(), stdout);
}

}  // namespace

void AddPs(CLI::App& app, Context& context) {
  auto options = std::make_shared<PsOptions>();
  CLI::App* ps = app.add_subcommand("ps", "List containers");
  ps->add_flag("-a,--all", options->all, "not only those that run");
  ps->add_flag("-q,--quiet", options->quiet, "ids only");
  ps->add_flag("--no-trunc", options->no_trunc, "whole ids and commands");
  ps->add_option("-n,--last", options->last, "the last N made");
  ps->add_option("--label", options->labels, "key or key=value")->allow_extra_args(false);
  ps->add_option("--name", options->names, "part of the name")->allow_extra_args(false);
  ps->final_callback([&context, options] { Ps(context, *options); });
}

}  // namespace slipway::cli
