// StatImagePath and ReadImageFiles.

#include <sys/stat.h>

#include <string>
#include <utility>

#include "absl/strings/strip.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "image-service/domain/image_files.h"
#include "image-service/rpc/blocking_writer.h"
#include "image-service/rpc/image_service.h"

namespace slipway::image {
namespace {

constexpr size_t kPieceBytes = 512 << 10;

absl::Status Fill(const ImageTree& tree, const ImageTree::Node& node, v1::ImageFile& file) {
  const LayerReader::Inode& inode = node.inode;
  file.set_path(node.path);
  file.set_mode(inode.mode);
  file.set_uid(inode.uid);
  file.set_gid(inode.gid);
  file.set_mtime_s(inode.mtime_s);
  file.set_mtime_ns(inode.mtime_ns);
  file.set_device(inode.device);
  if (S_ISREG(inode.mode)) file.set_size_bytes(inode.size_bytes);
  if (S_ISLNK(inode.mode)) {
    ASSIGN_OR_RETURN(*file.mutable_link_target(), tree.reader(node).LinkTarget(inode));
  }
  if (!S_ISDIR(inode.mode) && inode.nlink > 1) {
    file.set_link_id((uint64_t{node.layer} + 1) << 48 | inode.nid);
  }
  for (const auto& [name, value] : inode.xattrs) {
    if (!absl::StartsWith(name, "trusted.overlay.")) (*file.mutable_xattrs())[name] = value;
  }
  return absl::OkStatus();
}

absl::Status Stat(const ImageServiceParts& parts, const v1::StatImagePathRequest& request,
                  v1::StatImagePathResponse& response) {
  ASSIGN_OR_RETURN(const OpenImage image,
                   OpenImageFiles(parts.catalog, parts.content, request.image()));
  ASSIGN_OR_RETURN(const ImageTree::Resolved resolved,
                   image.tree.Resolve(request.path(), request.follow()));
  response.set_path(resolved.path);
  if (resolved.node.has_value()) {
    RETURN_IF_ERROR(Fill(image.tree, *resolved.node, *response.mutable_file()));
  }
  for (const ImageTree::Node& directory : resolved.directories) {
    RETURN_IF_ERROR(Fill(image.tree, directory, *response.add_directories()));
  }
  return absl::OkStatus();
}

// One ReadImageFiles call. Deletes itself, after the job has finished it.
class FilesReactor : public grpc::ServerWriteReactor<v1::ReadImageFilesResponse> {
 public:
  FilesReactor() : writer_(this) {}

  void Begin(const ImageServiceParts& parts, const v1::ReadImageFilesRequest& request) {
    const bool scheduled = parts.jobs.TrySchedule([this, &parts, request] {
      const absl::Status status = Run(parts, request);
      writer_.Drain();
      Finish(ToGrpc(status));
    });
    if (!scheduled) Finish(ToGrpc(TooManyJobs()));
  }

  void OnWriteDone(bool ok) override { writer_.OnWriteDone(ok); }
  void OnDone() override { delete this; }

 private:
  absl::Status Run(const ImageServiceParts& parts, const v1::ReadImageFilesRequest& request) {
    ASSIGN_OR_RETURN(const OpenImage image,
                     OpenImageFiles(parts.catalog, parts.content, request.image()));
    ASSIGN_OR_RETURN(const ImageTree::Resolved resolved,
                     image.tree.Resolve(request.path(), /*follow=*/true));
    if (!resolved.node.has_value()) {
      // Without a layer there is no root.
      if (resolved.path.empty()) return absl::OkStatus();
      return absl::NotFoundError(absl::StrCat("/", resolved.path, ": no such file or directory"));
    }
    absl::string_view asked = request.path();
    while (absl::ConsumePrefix(&asked, "/")) {
    }
    while (absl::ConsumeSuffix(&asked, "/")) {
    }
    return image.tree.Walk(
        *resolved.node, [&](const ImageTree::Node& node) -> absl::StatusOr<bool> {
          v1::ReadImageFilesResponse message;
          RETURN_IF_ERROR(Fill(image.tree, node, *message.mutable_file()));
          absl::string_view below = node.path;
          below.remove_prefix(resolved.path.size());
          absl::ConsumePrefix(&below, "/");
          message.mutable_file()->set_path(asked.empty() || below.empty()
                                               ? absl::StrCat(asked, below)
                                               : absl::StrCat(asked, "/", below));
          RETURN_IF_ERROR(writer_.Write(std::move(message)));
          if (S_ISREG(node.inode.mode) && !request.only_names()) {
            RETURN_IF_ERROR(SendContent(image.tree, node));
          }
          return true;
        });
  }

  absl::Status SendContent(const ImageTree& tree, const ImageTree::Node& node) {
    for (uint64_t offset = 0; offset < node.inode.size_bytes;) {
      v1::ReadImageFilesResponse message;
      std::string& data = *message.mutable_data();
      data.resize(std::min<uint64_t>(kPieceBytes, node.inode.size_bytes - offset));
      ASSIGN_OR_RETURN(const size_t n,
                       tree.reader(node).ReadContent(node.inode, offset, data.data(), data.size()));
      data.resize(n);
      offset += n;
      RETURN_IF_ERROR(writer_.Write(std::move(message)));
    }
    return absl::OkStatus();
  }

  BlockingWriter<FilesReactor, v1::ReadImageFilesResponse> writer_;
};

}  // namespace

grpc::Status ImageServiceImpl::StatImagePath(grpc::ServerContext*,
                                             const v1::StatImagePathRequest* request,
                                             v1::StatImagePathResponse* response) {
  return ToGrpc(Stat(parts_, *request, *response));
}

grpc::ServerWriteReactor<v1::ReadImageFilesResponse>* ImageServiceImpl::ReadImageFiles(
    grpc::CallbackServerContext*, const v1::ReadImageFilesRequest* request) {
  auto* reactor = new FilesReactor();
  reactor->Begin(parts_, *request);
  return reactor;
}

}  // namespace slipway::image
