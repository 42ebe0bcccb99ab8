#include "services/build/clients/image_client.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging/logging.h"
#include "base/os/descriptor_door.h"
#include "base/rpc/status_conversion.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "services/build/clients/config_conversion.h"
#include "services/build/domain/registry_of.h"

namespace slipway::build {
namespace {

namespace pb = slipway::image::v1;

constexpr absl::Duration kSquashTime = absl::Hours(1);
constexpr size_t kPieceBytes = 1 << 20;

ImageInfo FromMessage(const pb::Image& message) {
  ImageInfo info;
  info.id = message.id();
  info.author = message.author();
  info.config = ConfigFromMessage(message.config());
  info.platform = {message.platform().os(), message.platform().architecture(),
                   message.platform().variant()};
  info.size_bytes = message.size_bytes();
  return info;
}

FileInfo FromMessage(const pb::ImageFile& message) {
  FileInfo info;
  info.path = message.path();
  info.mode = message.mode();
  info.uid = message.uid();
  info.gid = message.gid();
  info.mtime_s = message.mtime_s();
  info.mtime_ns = message.mtime_ns();
  info.size_bytes = message.size_bytes();
  info.link_target = message.link_target();
  info.device = message.device();
  info.link_id = message.link_id();
  for (const auto& [name, value] : message.xattrs()) info.xattrs[name] = value;
  return info;
}

// A layer's tar on its way to the image service. Used by one thread.
class LayerUpload {
 public:
  LayerUpload(grpc::ClientWriter<pb::CommitImageRequest>& writer, std::string door)
      : writer_(writer), door_(std::move(door)) {}

  // The service takes more.
  bool open() const { return open_; }

  absl::Status Write(const pb::CommitImageRequest& request) {
    open_ = open_ && writer_.Write(request);
    return open_ ? absl::OkStatus() : absl::CancelledError("the image service takes no more");
  }

  absl::Status Bytes(std::string bytes) {
    pb::CommitImageRequest request;
    request.set_data(std::move(bytes));
    return Write(request);
  }

  absl::Status File(int fd, uint64_t offset, uint64_t size_bytes) {
    const std::string* token = TokenOf(fd);
    if (token == nullptr) return Copy(fd, offset, size_bytes);
    pb::CommitImageRequest request;
    request.mutable_range()->set_token(*token);
    request.mutable_range()->set_offset_bytes(offset);
    request.mutable_range()->set_size_bytes(size_bytes);
    return Write(request);
  }

 private:
  // Null where the service takes no files.
  const std::string* TokenOf(int fd) {
    const auto known = tokens_.find(fd);
    if (known != tokens_.end()) return &known->second;
    if (door_.empty()) return nullptr;
    absl::StatusOr<std::string> token = GiveDescriptor(door_, fd);
    if (token.ok()) return &tokens_.emplace(fd, *std::move(token)).first->second;
    Log(LogLevel::kWarning, "a layer goes by bytes", {{"reason", token.status().ToString()}});
    door_.clear();
    return nullptr;
  }

  absl::Status Copy(int fd, uint64_t offset, uint64_t size_bytes) {
    while (size_bytes > 0) {
      std::string piece(std::min<uint64_t>(size_bytes, kPieceBytes), '\0');
      const ssize_t n = pread(fd, piece.data(), piece.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus(errno, "read a build's files");
      if (n == 0) return absl::DataLossError("a build's files are cut");
      piece.resize(static_cast<size_t>(n));
      offset += piece.size();
      size_bytes -= piece.size();
      RETURN_IF_ERROR(Bytes(std::move(piece)));
    }
    return absl::OkStatus();
  }

  grpc::ClientWriter<pb::CommitImageRequest>& writer_;
  std::string door_;
  std::map<int, std::string> tokens_;
  bool open_ = true;
};

// That nobody guesses: a hold of that name can be added to.
std::string NewHoldName() {
  std::string bytes(16, '\0');
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return absl::StrCat("build-", absl::GetCurrentTimeNanos());
  }
  return absl::StrCat("build-", absl::BytesToHexString(bytes));
}

std::string PhaseText(pb::PullLayerProgress::Phase phase) {
  switch (phase) {
    case pb::PullLayerProgress::PHASE_PULL_COMPLETE:
      return "Pull complete";
    case pb::PullLayerProgress::PHASE_ALREADY_EXISTS:
      return "Already exists";
    default:
      return "";
  }
}

}  // namespace

ImageClient::ImageClient(const std::shared_ptr<grpc::Channel>& channel, std::string door,
                         Cancellation& cancellation, std::map<std::string, pb::RegistryAuth> auths)
    : stub_(pb::ImageService::NewStub(channel)),
      door_(std::move(door)),
      hold_(NewHoldName()),
      cancellation_(cancellation),
      auths_(std::move(auths)) {}

ImageClient::~ImageClient() {
  if (hold_call_ == nullptr) return;
  hold_context_.TryCancel();
  pb::HoldImagesResponse response;
  while (hold_call_->Read(&response)) {
  }
  (void)hold_call_->Finish();
}

// Without it a build goes on all the same: only a removal beside it could break it.
void ImageClient::OpenHold() {
  absl::call_once(hold_once_, [this] {
    pb::HoldImagesRequest request;
    request.set_hold(hold_);
    hold_call_ = stub_->HoldImages(&hold_context_, request);
    const Cancellation::Watch watch(cancellation_, [this] { hold_context_.TryCancel(); });
    pb::HoldImagesResponse response;
    if (!hold_call_->Read(&response)) Log(LogLevel::kWarning, "a build's images are not held");
  });
}

template <typename Request, typename Response>
absl::StatusOr<Response> ImageClient::Call(
    grpc::Status (pb::ImageService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
    const Request& request, absl::Duration time) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(absl::ToChronoTime(absl::Now() + time));
  const Cancellation::Watch watch(cancellation_, [&context] { context.TryCancel(); });
  Response response;
  RETURN_IF_ERROR(FromGrpc((stub_.get()->*method)(&context, request, &response)));
  return response;
}

absl::StatusOr<ImageInfo> ImageClient::Get(const std::string& reference) {
  OpenHold();
  pb::GetImageRequest request;
  request.set_reference(reference);
  request.set_hold(hold_);
  ASSIGN_OR_RETURN(const auto response, Call(&pb::ImageService::Stub::GetImage, request));
  return FromMessage(response.image());
}

absl::StatusOr<ImageInfo> ImageClient::Pull(
    const std::string& reference, const Platform& platform,
    const std::function<void(absl::string_view)>& progress) {
  pb::PullImageRequest request;
  request.set_reference(reference);
  if (!platform.empty()) {
    request.mutable_platform()->set_os(platform.os);
    request.mutable_platform()->set_architecture(platform.architecture);
    request.mutable_platform()->set_variant(platform.variant);
  }
  const auto auth = auths_.find(RegistryOf(reference));
  if (auth != auths_.end()) *request.mutable_auth() = auth->second;
  grpc::ClientContext context;
  const Cancellation::Watch watch(cancellation_, [&context] { context.TryCancel(); });
  const auto stream = stub_->PullImage(&context, request);
  pb::PullImageResponse response;
  std::string id;
  while (stream->Read(&response)) {
    if (response.has_done()) {
      id = response.done().image_id();
    } else if (response.has_status()) {
      progress(response.status().text());
    } else if (const std::string text = PhaseText(response.layer().phase()); !text.empty()) {
      progress(absl::StrCat(response.layer().id(), ": ", text));
    }
  }
  RETURN_IF_ERROR(FromGrpc(stream->Finish()));
  return Get(id);
}

absl::StatusOr<PathInfo> ImageClient::Stat(const std::string& image, const std::string& path) {
  pb::StatImagePathRequest request;
  request.set_image(image);
  request.set_path(path);
  request.set_follow(true);
  ASSIGN_OR_RETURN(const auto response, Call(&pb::ImageService::Stub::StatImagePath, request));
  PathInfo info;
  info.path = response.path();
  if (response.has_file()) info.file = FromMessage(response.file());
  for (const auto& directory : response.directories()) {
    info.directories.push_back(FromMessage(directory));
  }
  return info;
}

absl::Status ImageClient::ReadFiles(const std::string& image, const std::string& path,
                                    const std::function<absl::Status(FileInfo)>& on_file,
                                    const std::function<absl::Status(absl::string_view)>& on_data) {
  pb::ReadImageFilesRequest request;
  request.set_image(image);
  request.set_path(path);
  grpc::ClientContext context;
  const Cancellation::Watch watch(cancellation_, [&context] { context.TryCancel(); });
  const auto stream = stub_->ReadImageFiles(&context, request);
  pb::ReadImageFilesResponse response;
  absl::Status taken;
  while (taken.ok() && stream->Read(&response)) {
    taken = response.has_file() ? on_file(FromMessage(response.file())) : on_data(response.data());
  }
  if (!taken.ok()) {
    context.TryCancel();
    while (stream->Read(&response)) {
    }
  }
  const absl::Status finished = FromGrpc(stream->Finish());
  return taken.ok() ? finished : taken;
}

absl::StatusOr<std::string> ImageClient::Commit(
    const NewImage& image, const std::function<absl::Status(const TarSink&)>& produce) {
  OpenHold();
  pb::CommitImageRequest first;
  pb::CommitImageOptions& options = *first.mutable_options();
  options.set_hold(hold_);
  options.set_parent(image.parent);
  ConfigToMessage(image.config, *options.mutable_config());
  options.set_author(image.author);
  options.set_created_by(image.created_by);
  options.set_created_unix_ns(image.created_unix_ns);
  options.set_latest_mtime_unix_s(image.latest_mtime_unix_s);
  if (image.parent.empty() && !image.platform.empty()) {
    options.mutable_platform()->set_os(image.platform.os);
    options.mutable_platform()->set_architecture(image.platform.architecture);
    options.mutable_platform()->set_variant(image.platform.variant);
  }
  grpc::ClientContext context;
  const Cancellation::Watch watch(cancellation_, [&context] { context.TryCancel(); });
  pb::CommitImageResponse response;
  const auto writer = stub_->CommitImage(&context, &response);
  LayerUpload upload(*writer, door_);
  absl::Status produced = upload.Write(first);
  if (produced.ok() && produce != nullptr) {
    produced = produce(TarSink([&](std::string bytes) { return upload.Bytes(std::move(bytes)); },
                               [&](int fd, uint64_t offset, uint64_t size_bytes) {
                                 return upload.File(fd, offset, size_bytes);
                               }));
  }
  if (produced.ok()) {
    writer->WritesDone();
  } else if (upload.open()) {
    context.TryCancel();
  }
  const absl::Status finished = FromGrpc(writer->Finish());
  // Where the service took no more, it says why.
  if (!produced.ok() && upload.open()) return produced;
  RETURN_IF_ERROR(finished);
  return response.image_id();
}

absl::StatusOr<std::string> ImageClient::Squash(const std::string& image,
                                                const std::string& ancestor,
                                                int64_t created_unix_ns) {
  pb::SquashImageRequest request;
  request.set_image(image);
  request.set_ancestor(ancestor);
  request.set_hold(hold_);
  request.set_created_unix_ns(created_unix_ns);
  ASSIGN_OR_RETURN(const auto response,
                   Call(&pb::ImageService::Stub::SquashImage, request, kSquashTime));
  return response.image_id();
}

absl::Status ImageClient::Tag(const std::string& image, const std::string& name) {
  pb::TagImageRequest request;
  request.set_source(image);
  request.set_target(name);
  return Call(&pb::ImageService::Stub::TagImage, request).status();
}

absl::Status ImageClient::Remove(const std::string& image) {
  pb::RemoveImageRequest request;
  request.set_reference(image);
  request.set_no_prune(true);
  return Call(&pb::ImageService::Stub::RemoveImage, request).status();
}

absl::StatusOr<std::vector<ImageSummary>> ImageClient::List() {
  pb::ListImagesRequest request;
  request.set_all(true);
  ASSIGN_OR_RETURN(const auto response, Call(&pb::ImageService::Stub::ListImages, request));
  std::vector<ImageSummary> images;
  for (const pb::Image& image : response.images()) {
    images.push_back({.id = image.id(),
                      .parent = image.parent_id(),
                      .has_name = image.repo_tags_size() > 0 || image.container_count() > 0,
                      .size_bytes = image.size_bytes()});
  }
  return images;
}

}  // namespace slipway::build
