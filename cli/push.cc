// push, save: images to registries and archives.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/os/unique_fd.h"
#include "base/rpc/status_conversion.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "cli/context.h"
#include "cli/layer_lines.h"
#include "cli/terminal.h"

namespace slipway::cli {
namespace {

absl::Status Push(Context& context, const std::string& reference, bool all_tags, bool quiet) {
  grpc::ClientContext call;
  image::v1::PushImageRequest request;
  request.set_reference(reference);
  request.set_all_tags(all_tags);
  auto stream = context.images().PushImage(&call, request);
  image::v1::PushImageResponse response;
  LayerLines lines(IsTerminal(STDERR_FILENO));
  while (stream->Read(&response)) {
    if (response.has_done()) {
      std::printf("%s: digest: %s size: %lld\n", response.done().tag().c_str(),
                  response.done().manifest_digest().c_str(),
                  static_cast<long long>(response.done().manifest_size_bytes()));
    } else if (!quiet && response.has_status()) {
      std::fprintf(stderr, "%s\n", response.status().text().c_str());
    } else if (!quiet && response.has_layer()) {
      lines.Update(response.layer());
    }
  }
  return FromGrpc(stream->Finish());
}

absl::Status WriteAll(int fd, absl::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("write ", path));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status Receive(Context& context, const std::vector<std::string>& references, int fd,
                     const std::string& path) {
  grpc::ClientContext call;
  image::v1::SaveImagesRequest request;
  request.mutable_references()->Add(references.begin(), references.end());
  auto stream = context.images().SaveImages(&call, request);
  image::v1::SaveImagesResponse response;
  absl::Status written;
  while (written.ok() && stream->Read(&response)) written = WriteAll(fd, response.data(), path);
  if (!written.ok()) call.TryCancel();
  const absl::Status status = FromGrpc(stream->Finish());
  return written.ok() ? status : written;
}

// Into a file beside the wanted one, so that a failure leaves no half archive under its name.
absl::Status Save(Context& context, const std::vector<std::string>& references,
                  const std::string& path) {
  if (path.empty()) {
    if (IsTerminal(STDOUT_FILENO)) {
      return absl::InvalidArgumentError("refusing to write an archive to a terminal: use -o FILE");
    }
    return Receive(context, references, STDOUT_FILENO, "stdout");
  }
  const std::string partial = absl::StrCat(path, ".partial-", getpid());
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(partial, O_WRONLY | O_CREAT | O_TRUNC));
  absl::Status status = Receive(context, references, fd.get(), partial);
  if (status.ok() && rename(partial.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("rename ", partial, " to ", path));
  }
  if (!status.ok()) unlink(partial.c_str());
  return status;
}

}  // namespace

void AddPush(CLI::App& app, Context& context) {
  auto references = std::make_shared<std::vector<std::string>>();
  auto all_tags = std::make_shared<bool>(false), quiet = std::make_shared<bool>(false);
  CLI::App* push = app.add_subcommand("push", "Send images to a registry");
  push->add_flag("-a,--all-tags", *all_tags, "every tag of the name");
  push->add_flag("-q,--quiet", *quiet, "no progress");
  push->add_option("image", *references, "name[:tag]")->required();
  push->final_callback([&context, references, all_tags, quiet] {
    for (const std::string& reference : *references) {
      context.Check(Push(context, reference, *all_tags, *quiet));
    }
  });

  auto saved = std::make_shared<std::vector<std::string>>();
  auto path = std::make_shared<std::string>();
  CLI::App* save = app.add_subcommand("save", "Write images into an archive");
  save->add_option("-o,--output", *path, "file; stdout when not given");
  save->add_option("image", *saved, "names or ids")->required();
  save->final_callback([&context, saved, path] { context.Check(Save(context, *saved, *path)); });
}

}  // namespace slipway::cli
