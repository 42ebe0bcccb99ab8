#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/os/descriptor_door.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"
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
  command.hold = options.hold();
  if (options.has_platform()) command.platform = FromMessage(options.platform());
  return command;
}

// The files that one call has named. Used by one thread at a time.
class NamedFiles {
 public:
  static constexpr size_t kMaxFiles = 1024;

  explicit NamedFiles(DescriptorDoor* door) : door_(door) {}

  absl::StatusOr<FilePart> Part(const v1::FileRange& range) {
    if (range.offset_bytes() > INT64_MAX || range.size_bytes() > INT64_MAX - range.offset_bytes()) {
      return absl::InvalidArgumentError("a range of a file that cannot be");
    }
    auto found = files_.find(range.token());
    if (found == files_.end()) {
      if (door_ == nullptr) return absl::NotFoundError("this service takes no files");
      if (files_.size() >= kMaxFiles) return absl::ResourceExhaustedError("too many files");
      ASSIGN_OR_RETURN(UniqueFd fd, door_->Take(range.token()));
      found = files_.emplace(range.token(), std::make_shared<UniqueFd>(std::move(fd))).first;
    }
    return FilePart{found->second, range.offset_bytes(), range.size_bytes()};
  }

  absl::StatusOr<PipeEnd> Pipe(const std::string& token) {
    if (door_ == nullptr) return absl::NotFoundError("this service takes no files");
    ASSIGN_OR_RETURN(UniqueFd fd, door_->Take(token));
    return PipeEnd{std::move(fd)};
  }

 private:
  DescriptorDoor* const door_;
  std::map<std::string, std::shared_ptr<const UniqueFd>> files_;
};

template <typename Piece>
bool TakeOrAbort(absl::StatusOr<Piece> piece, ByteQueue& queue) {
  if (piece.ok()) return queue.Push(*std::move(piece));
  queue.Abort(piece.status());
  return false;
}

}  // namespace

grpc::ServerReadReactor<v1::CommitImageRequest>* ImageServiceImpl::CommitImage(
    grpc::CallbackServerContext*, v1::CommitImageResponse* response) {
  Committer& committer = parts_.committer;
  const auto take = [files = std::make_shared<NamedFiles>(parts_.door)](
                        v1::CommitImageRequest& request, ByteQueue& queue) {
    if (request.has_range()) return TakeOrAbort(files->Part(request.range()), queue);
    if (request.has_pipe()) return TakeOrAbort(files->Pipe(request.pipe()), queue);
    return queue.Push(std::move(*request.mutable_data()));
  };
  return new UploadReactor<v1::CommitImageRequest, v1::CommitImageResponse, CommitCommand>(
      parts_.jobs, response, ParseCommit,
      [&committer](const CommitCommand& command, ByteSource& source) {
        return committer.Commit(command, source);
      },
      take);
}

}  // namespace slipway::image
