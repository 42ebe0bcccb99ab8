#include "image-service/rpc/message_conversion.h"
#include "image-service/rpc/upload_reactor.h"

namespace slipway::image {
namespace {

absl::StatusOr<ImportCommand> ParseImport(const v1::ImportImageRequest& request) {
  const v1::ImportImageOptions& options = request.options();
  ImportCommand command;
  if (!options.reference().empty()) {
    auto reference = ImageReference::Parse(options.reference());
    if (!reference.ok()) return reference.status();
    if (!reference->digest().empty()) {
      return absl::InvalidArgumentError("cannot import digest reference");
    }
    command.reference = reference->WithDefaultTag();
  }
  command.message = options.message();
  command.config = FromMessage(options.config());
  command.platform = FromMessage(options.platform());
  command.source = options.source();
  return command;
}

}  // namespace

grpc::ServerReadReactor<v1::ImportImageRequest>* ImageServiceImpl::ImportImage(
    grpc::CallbackServerContext*, v1::ImportImageResponse* response) {
  Importer& importer = parts_.importer;
  return new UploadReactor<v1::ImportImageRequest, v1::ImportImageResponse, ImportCommand>(
      parts_.jobs, response, ParseImport,
      [&importer](const ImportCommand& command, ByteSource& source) {
        return importer.Import(command, source);
      });
}

}  // namespace slipway::image
