// images, rmi, tag, commit.

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/context.h"
#include "cli/format.h"

namespace slipway::cli {
namespace {

struct ImagesOptions {
  bool quiet = false, no_trunc = false;
  std::string reference;
};

void Images(Context& context, const ImagesOptions& options) {
  grpc::ClientContext call;
  image::v1::ListImagesRequest request;
  if (!options.reference.empty()) request.add_references(options.reference);
  image::v1::ListImagesResponse response;
  if (!context.Check(context.images().ListImages(&call, request, &response))) return;
  std::vector<std::vector<std::string>> rows = {
      {"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"}};
  const absl::Time now = absl::Now();
  for (const image::v1::Image& image : response.images()) {
    const std::string id = options.no_trunc ? image.id() : ShortId(image.id());
    if (options.quiet) {
      std::printf("%s\n", id.c_str());
      continue;
    }
    std::vector<std::string> tags(image.repo_tags().begin(), image.repo_tags().end());
    if (tags.empty()) tags.push_back("<none>:<none>");
    for (const std::string& tag : tags) {
      const size_t colon = tag.rfind(':');
      rows.push_back({tag.substr(0, colon), tag.substr(colon + 1), id,
                      HumanDuration(now - absl::FromUnixNanos(image.created_unix_ns())) + " ago",
                      HumanSize(image.size_bytes())});
    }
  }
  if (!options.quiet) std::fputs(Table(rows).c_str(), stdout);
}

void Remove(Context& context, const std::string& reference, bool force) {
  grpc::ClientContext call;
  image::v1::RemoveImageRequest request;
  request.set_reference(reference);
  request.set_force(force);
  image::v1::RemoveImageResponse response;
  if (!context.Check(context.images().RemoveImage(&call, request, &response))) return;
  for (const std::string& name : response.untagged()) std::printf("Untagged: %s\n", name.c_str());
  for (const std::string& name : response.deleted()) std::printf("Deleted: %s\n", name.c_str());
}

struct CommitOptions {
  std::string container, reference, author, message;
  bool no_pause = false;
};

void Commit(Context& context, const CommitOptions& options) {
  grpc::ClientContext call;
  container::v1::CommitContainerRequest request;
  request.set_container(options.container);
  request.set_reference(options.reference);
  request.set_author(options.author);
  request.set_message(options.message);
  request.set_pause(!options.no_pause);
  container::v1::CommitContainerResponse response;
  if (!context.Check(context.containers().CommitContainer(&call, request, &response))) return;
  std::printf("%s\n", response.image_id().c_str());
}

void AddCommit(CLI::App& app, Context& context) {
  auto options = std::make_shared<CommitOptions>();
  CLI::App* commit = app.add_subcommand("commit", "Make an image of what a container changed");
  commit->add_option("-a,--author", options->author, "who made it");
  commit->add_option("-m,--message", options->message, "for the history");
  commit->add_flag("--no-pause", options->no_pause, "let the container run meanwhile");
  commit->add_option("container", options->container, "container")->required();
  commit->add_option("name", options->reference, "name[:tag]");
  commit->final_callback([&context, options] { Commit(context, *options); });
}

}  // namespace

void AddImages(CLI::App& app, Context& context) {
  auto options = std::make_shared<ImagesOptions>();
  CLI::App* images = app.add_subcommand("images", "List images");
  images->add_flag("-q,--quiet", options->quiet, "ids only");
  images->add_flag("--no-trunc", options->no_trunc, "whole ids");
  images->add_option("reference", options->reference, "a name or a pattern");
  images->final_callback([&context, options] { Images(context, *options); });

  auto names = std::make_shared<std::vector<std::string>>();
  auto force = std::make_shared<bool>(false);
  CLI::App* rmi = app.add_subcommand("rmi", "Remove images");
  rmi->add_flag("-f,--force", *force, "though it has other names");
  rmi->add_option("image", *names, "images")->required();
  rmi->final_callback([&context, names, force] {
    for (const std::string& name : *names) Remove(context, name, *force);
  });

  AddCommit(app, context);

  auto source = std::make_shared<std::string>(), target = std::make_shared<std::string>();
  CLI::App* tag = app.add_subcommand("tag", "Give an image another name");
  tag->add_option("source", *source, "image")->required();
  tag->add_option("target", *target, "name[:tag]")->required();
  tag->final_callback([&context, source, target] {
    grpc::ClientContext call;
    image::v1::TagImageRequest request;
    request.set_source(*source);
    request.set_target(*target);
    image::v1::TagImageResponse response;
    context.Check(context.images().TagImage(&call, request, &response));
  });
}

}  // namespace slipway::cli
