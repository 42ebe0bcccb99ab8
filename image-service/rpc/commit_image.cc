#include "image-service/rpc/message_conversion.h"
#include "image-service/rpc/upload_reactor.h"

namespace slipway::image {
namespace {

absl::StatusOr<CommitCommand> ParseCommit(const v1::CommitImageRequest& request) {
  const v1::CommitImageOptions& options = request.options();
  CommitCommand command;
  if (!options.reference().empty()) {
    auto reference = ImageReference::Parse(options.reference());
    if (!reference.ok()) return reference.status();
    if (!reference->digest().empty()) {
      return absl::InvalidArgumentError("refusing to create a tag with a digest reference");
    }
    command.reference = reference->WithDefaultTag();
  }
  command.parent = options.parent();
  command.config = FromMessage(options.config());
  command.author = options.author();
  command.message = options.message();
  command.created_by = options.created_by();
  command.container_id = options.container_id();
  command.created_unix_ns = options.created_unix_ns();
  command.latest_mtime_unix_s = options.latest_mtime_unix_s();
  if (options.has_platform()) command.platform = FromMessage(options.platform());
  return command;
}

}  // namespace

grpc::ServerReadReactor<v1::CommitImageRequest>* ImageServiceImpl::CommitImage(
    grpc::CallbackServerContext*, v1::CommitImageResponse* response) {
  Committer& committer = parts_.committer;
  return new UploadReactor<v1::CommitImageRequest, v1::CommitImageResponse, CommitCommand>(
      parts_.jobs, response, ParseCommit,
      [&committer](const CommitCommand& command, ByteSource& source) {
        return committer.Commit(command, source);
      });
}

}  // namespace slipway::image
