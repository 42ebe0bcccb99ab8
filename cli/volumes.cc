#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/context.h"
#include "cli/format.h"

// volume create, ls, inspect, rm, prune.
namespace slipway::cli {
namespace {

using Pairs = google::protobuf::Map<std::string, std::string>;

struct CreateOptions {
  std::string name;
  std::string driver;
  std::vector<std::string> labels, options;
};

// "key=value" or "key".
void AddPairs(const std::vector<std::string>& texts, Pairs* pairs) {
  for (const std::string& text : texts) {
    std::pair<std::string, std::string> pair = absl::StrSplit(text, absl::MaxSplits('=', 1));
    (*pairs)[pair.first] = pair.second;
  }
}

void PrintPairs(const char* title, const Pairs& pairs) {
  for (const auto& [key, value] : pairs) {
    std::printf("%s: %s%s%s\n", title, key.c_str(), value.empty() ? "" : "=", value.c_str());
  }
}

std::string SizeText(const container::v1::Volume& volume) {
  return volume.has_size_bytes() ? HumanSize(volume.size_bytes()) : "-";
}

void AddCreate(CLI::App& volume, Context& context) {
  auto options = std::make_shared<CreateOptions>();
  CLI::App* create = volume.add_subcommand("create", "Make a volume");
  create->add_option("name", options->name, "made up when none is given");
  create->add_option("-d,--driver", options->driver, "local");
  create->add_option("--label", options->labels, "key=value")->allow_extra_args(false);
  create
      ->add_option("-o,--opt", options->options,
                   "size=<bytes>, or type=, device= and o= as mount takes them")
      ->allow_extra_args(false);
  create->final_callback([&context, options] {
    grpc::ClientContext call;
    container::v1::CreateVolumeRequest request;
    request.set_name(options->name);
    request.set_driver(options->driver);
    AddPairs(options->labels, request.mutable_labels());
    AddPairs(options->options, request.mutable_options());
    container::v1::CreateVolumeResponse response;
    if (!context.Check(context.volumes().CreateVolume(&call, request, &response))) return;
    std::printf("%s\n", response.volume().name().c_str());
  });
}

void AddList(CLI::App& volume, Context& context) {
  struct Options {
    bool quiet = false, size = false, dangling = false;
    std::vector<std::string> labels, names;
  };
  auto options = std::make_shared<Options>();
  CLI::App* list = volume.add_subcommand("ls", "List volumes");
  list->add_flag("-q,--quiet", options->quiet, "names only");
  list->add_flag("-s,--size", options->size, "how much is in them");
  list->add_flag("--dangling", options->dangling, "those that no container has");
  list->add_option("--label", options->labels, "key or key=value")->allow_extra_args(false);
  list->add_option("--name", options->names, "part of the name")->allow_extra_args(false);
  list->final_callback([&context, options] {
    grpc::ClientContext call;
    container::v1::ListVolumesRequest request;
    request.set_with_size(options->size);
    if (options->dangling) request.set_dangling(true);
    for (const std::string& label : options->labels) request.add_labels(label);
    for (const std::string& name : options->names) request.add_names(name);
    container::v1::ListVolumesResponse response;
    if (!context.Check(context.volumes().ListVolumes(&call, request, &response))) return;
    std::vector<std::vector<std::string>> rows = {{"DRIVER", "CONTAINERS", "VOLUME NAME"}};
    if (options->size) rows[0].insert(rows[0].begin() + 2, "SIZE");
    for (const container::v1::Volume& one : response.volumes()) {
      if (options->quiet) {
        std::printf("%s\n", one.name().c_str());
        continue;
      }
      rows.push_back({one.driver(), absl::StrCat(one.container_ids_size()), one.name()});
      if (options->size) rows.back().insert(rows.back().begin() + 2, SizeText(one));
    }
    if (!options->quiet) std::fputs(Table(rows).c_str(), stdout);
  });
}

void AddInspectOne(CLI::App& volume, Context& context) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* inspect = volume.add_subcommand("inspect", "Show what is known of volumes");
  inspect->add_option("volume", *names, "volumes")->required();
  inspect->final_callback([&context, names] {
    for (const std::string& name : *names) {
      grpc::ClientContext call;
      container::v1::GetVolumeRequest request;
      request.set_name(name);
      request.set_with_size(true);
      container::v1::GetVolumeResponse response;
      if (!context.Check(context.volumes().GetVolume(&call, request, &response))) continue;
      const container::v1::Volume& one = response.volume();
      std::printf("name: %s\ndriver: %s\nmountpoint: %s\ncreated: %s\nsize: %s\n",
                  one.name().c_str(), one.driver().c_str(), one.mountpoint().c_str(),
                  Timestamp(one.created_unix_ns()).c_str(), SizeText(one).c_str());
      PrintPairs("option", one.options());
      PrintPairs("label", one.labels());
      for (const std::string& id : one.container_ids()) std::printf("container: %s\n", id.c_str());
    }
  });
}

void AddRemove(CLI::App& volume, Context& context) {
  auto names = std::make_shared<std::vector<std::string>>();
  auto force = std::make_shared<bool>(false);
  CLI::App* remove = volume.add_subcommand("rm", "Remove volumes and what is in them");
  remove->add_option("volume", *names, "volumes")->required();
  remove->add_flag("-f,--force", *force, "no error for one that is not there");
  remove->final_callback([&context, names, force] {
    for (const std::string& name : *names) {
      grpc::ClientContext call;
      container::v1::RemoveVolumeRequest request;
      request.set_name(name);
      request.set_force(*force);
      container::v1::RemoveVolumeResponse response;
      if (context.Check(context.volumes().RemoveVolume(&call, request, &response))) {
        std::printf("%s\n", name.c_str());
      }
    }
  });
}

void AddPrune(CLI::App& volume, Context& context) {
  auto all = std::make_shared<bool>(false);
  auto labels = std::make_shared<std::vector<std::string>>();
  CLI::App* prune = volume.add_subcommand("prune", "Remove the volumes that no container has");
  prune->add_flag("-a,--all", *all, "not only anonymous ones");
  prune->add_option("--label", *labels, "key or key=value")->allow_extra_args(false);
  prune->final_callback([&context, all, labels] {
    grpc::ClientContext call;
    container::v1::PruneVolumesRequest request;
    request.set_all(*all);
    for (const std::string& label : *labels) request.add_labels(label);
    container::v1::PruneVolumesResponse response;
    if (!context.Check(context.volumes().PruneVolumes(&call, request, &response))) return;
    for (const std::string& name : response.names()) std::printf("%s\n", name.c_str());
    std::fprintf(stderr, "freed: %s\n", HumanSize(response.freed_bytes()).c_str());
  });
}

}  // namespace

void AddVolumes(CLI::App& app, Context& context) {
  CLI::App* volume = app.add_subcommand("volume", "Volumes: create, ls, inspect, rm, prune");
  volume->require_subcommand(1);
  AddCreate(*volume, context);
  AddList(*volume, context);
  AddInspectOne(*volume, context);
  AddRemove(*volume, context);
  AddPrune(*volume, context);
}

}  // namespace slipway::cli
