// load, import: images from archives.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/os/file.h"
#include "base/os/unique_fd.h"
#include "base/rpc/status_conversion.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "cli/context.h"

namespace slipway::cli {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

// "-" or "" is stdin.
absl::StatusOr<UniqueFd> OpenInput(const std::string& path) {
  if (path.empty() || path == "-") return UniqueFd(dup(STDIN_FILENO));
  return OpenFile(path, O_RDONLY);
}

// Feeds the file to `send` in pieces until it ends or `send` refuses.
absl::Status CopyTo(const std::string& path, const std::function<bool(std::string)>& send) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenInput(path));
  while (true) {
    std::string piece(kPieceBytes, '\0');
    const ssize_t n = read(fd.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("read ", path));
    if (n == 0) return absl::OkStatus();
    piece.resize(static_cast<size_t>(n));
    if (!send(std::move(piece))) return absl::OkStatus();
  }
}

absl::Status Load(Context& context, const std::string& path, bool quiet) {
  grpc::ClientContext call;
  auto stream = context.images().LoadImage(&call);
  // Bytes go out while progress comes in: the archive is small beside the buffers only when it is
  // small.
  absl::Status read_status;
  std::thread sender([&] {
    read_status = CopyTo(path, [&](std::string piece) {
      image::v1::LoadImageRequest request;
      *request.mutable_data() = std::move(piece);
      return stream->Write(request);
    });
    if (read_status.ok()) {
      stream->WritesDone();
    } else {
      call.TryCancel();
    }
  });
  image::v1::LoadImageResponse response;
  while (stream->Read(&response)) {
    if (!response.has_loaded() || quiet) continue;
    const image::v1::LoadedImage& loaded = response.loaded();
    if (loaded.reference().empty()) {
      std::printf("Loaded image ID: %s\n", loaded.image_id().c_str());
    } else {
      std::printf("Loaded image: %s\n", loaded.reference().c_str());
    }
  }
  sender.join();
  const absl::Status status = FromGrpc(stream->Finish());
  return read_status.ok() ? status : read_status;
}

// The words of `CMD ["a", "b"]` or `CMD a b` (shell form).
std::vector<std::string> Words(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (!absl::ConsumePrefix(&text, "[") || !absl::ConsumeSuffix(&text, "]")) {
    return {"/bin/sh", "-c", std::string(text)};
  }
  std::vector<std::string> words;
  for (absl::string_view word : absl::StrSplit(text, ',')) {
    word = absl::StripAsciiWhitespace(word);
    absl::ConsumePrefix(&word, "\"");
    absl::ConsumeSuffix(&word, "\"");
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

// One `--change`, an instruction as a Dockerfile has it.
absl::Status ApplyChange(absl::string_view change, image::v1::ImageConfig& config) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(absl::StripAsciiWhitespace(change), absl::MaxSplits(' ', 1));
  const std::string name = absl::AsciiStrToUpper(parts[0]);
  const absl::string_view rest = parts.size() == 2 ? parts[1] : "";
  if (rest.empty()) return absl::InvalidArgumentError(absl::StrCat("--change: \"", change, "\""));
  const std::vector<std::string> pair =
      absl::StrSplit(rest, absl::MaxSplits(absl::ByAnyChar("= "), 1));
  const std::string value = pair.size() == 2 ? pair[1] : "";
  if (name == "CMD") {
    config.clear_command();
    for (std::string& word : Words(rest)) config.add_command(std::move(word));
  } else if (name == "ENTRYPOINT") {
    config.clear_entrypoint();
    for (std::string& word : Words(rest)) config.add_entrypoint(std::move(word));
  } else if (name == "ENV") {
    config.add_env(absl::StrCat(pair[0], "=", value));
  } else if (name == "LABEL") {
    (*config.mutable_labels())[pair[0]] = value;
  } else if (name == "WORKDIR") {
    config.set_working_directory(std::string(rest));
  } else if (name == "USER") {
    config.set_user(std::string(rest));
  } else if (name == "EXPOSE") {
    config.add_exposed_ports(std::string(rest));
  } else if (name == "VOLUME") {
    config.add_volumes(std::string(rest));
  } else if (name == "STOPSIGNAL") {
    config.set_stop_signal(std::string(rest));
  } else {
    return absl::InvalidArgumentError(absl::StrCat("--change: ", name, " is not possible here"));
  }
  return absl::OkStatus();
}

struct ImportOptions {
  std::string path, reference, message;
  std::vector<std::string> changes;
};

absl::StatusOr<std::string> Import(Context& context, const ImportOptions& options) {
  image::v1::ImportImageRequest first;
  image::v1::ImportImageOptions& out = *first.mutable_options();
  out.set_reference(options.reference);
  out.set_message(options.message);
  out.set_source(options.path);
  for (const std::string& change : options.changes) {
    RETURN_IF_ERROR(ApplyChange(change, *out.mutable_config()));
  }
  grpc::ClientContext call;
  image::v1::ImportImageResponse response;
  auto stream = context.images().ImportImage(&call, &response);
  absl::Status read_status;
  if (stream->Write(first)) {
    read_status = CopyTo(options.path, [&](std::string piece) {
      image::v1::ImportImageRequest request;
      *request.mutable_data() = std::move(piece);
      return stream->Write(request);
    });
  }
  if (!read_status.ok()) call.TryCancel();
  stream->WritesDone();
  const absl::Status status = FromGrpc(stream->Finish());
  RETURN_IF_ERROR(read_status);
  RETURN_IF_ERROR(status);
  return response.image_id();
}

}  // namespace

void AddLoad(CLI::App& app, Context& context) {
  auto path = std::make_shared<std::string>();
  auto quiet = std::make_shared<bool>(false);
  CLI::App* load = app.add_subcommand("load", "Load images from an archive");
  load->add_option("-i,--input", *path, "file; stdin when not given");
  load->add_flag("-q,--quiet", *quiet, "print nothing");
  load->final_callback([&context, path, quiet] { context.Check(Load(context, *path, *quiet)); });

  auto options = std::make_shared<ImportOptions>();
  CLI::App* import = app.add_subcommand("import", "Make an image of a root file system's tar");
  import->add_option("-c,--change", options->changes, "instruction, as CMD [\"sh\"]")
      ->allow_extra_args(false);
  import->add_option("-m,--message", options->message, "for the history");
  import->add_option("file", options->path, "file, or - for stdin")->required();
  import->add_option("name", options->reference, "name[:tag]");
  import->final_callback([&context, options] {
    const absl::StatusOr<std::string> id = Import(context, *options);
  if (context.Check(id.status())) std::printf("%s\n", id->c_str());
});
}  // namespace slipway::cli

}  // namespace slipway::cli
