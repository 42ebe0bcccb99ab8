#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/os/descriptor_door.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "runtime-agent/domain/archiver.h"
#include "runtime-agent/rpc/stream_service.h"

namespace slipway::agent {
namespace {

constexpr size_t kPieceBytes = 256 << 10;

void PutStat(const ArchivePathStat& from, v1::PathStat* to) {
  to->set_name(from.name);
  to->set_size_bytes(from.size_bytes);
  to->set_mode(from.mode);
  to->set_modified_unix_ns(from.modified_ns);
  to->set_link_target(from.link_target);
}

// What the archiver writes, to the client; its last word is the call's outcome.
template <typename Response>
absl::Status SendOutput(Archiver& archiver, grpc::ServerWriter<Response>* writer) {
  while (true) {
    Response response;
    std::string& data = *response.mutable_data();
    data.resize(kPieceBytes);
    ASSIGN_OR_RETURN(const size_t size, archiver.ReadOutput(data.data(), data.size()));
    if (size == 0) return archiver.Finish();
    data.resize(size);
    if (!writer->Write(response)) return absl::CancelledError("the client left");
  }
}

// An archiver that only writes.
absl::StatusOr<std::unique_ptr<Archiver>> OpenReader(Runtime* runtime, const std::string& id,
                                                     ArchiveView view, const char* command) {
  ASSIGN_OR_RETURN(std::unique_ptr<Archiver> archiver,
                   runtime->OpenArchiver(id, {.view = view, .arguments = {command}}));
  archiver->CloseInput();
  return archiver;
}

// Who has the pipe reads it: only the last word is waited for.
absl::Status SendPipe(Archiver& archiver, std::string token,
                      grpc::ServerWriter<v1::ExportChangesResponse>* writer) {
  archiver.CloseOutput();
  v1::ExportChangesResponse response;
  response.set_pipe(std::move(token));
  if (!writer->Write(response)) return absl::CancelledError("the client left");
  return archiver.Finish();
}

// Adds the records of `text` that are whole, and takes them away.
void TakeChanges(std::string& text, v1::ListChangesResponse& response) {
  size_t begin = 0;
  size_t end = 0;
  while ((end = text.find('\0', begin)) != std::string::npos) {
    v1::PathChange* change = response.add_changes();
    const char kind = text[begin];
    change->set_kind(kind == 'A'   ? v1::PathChange::KIND_ADDED
                     : kind == 'D' ? v1::PathChange::KIND_DELETED
                                   : v1::PathChange::KIND_MODIFIED);
    change->set_path(text.substr(begin + 1, end - begin - 1));
    begin = end + 1;
  }
  text.erase(0, begin);
}

absl::Status SendChanges(Archiver& archiver, grpc::ServerWriter<v1::ListChangesResponse>* writer) {
  std::string text;
  while (true) {
    std::string piece(kPieceBytes, '\0');
    ASSIGN_OR_RETURN(const size_t size, archiver.ReadOutput(piece.data(), piece.size()));
    if (size == 0) return archiver.Finish();
    text.append(piece, 0, size);
    v1::ListChangesResponse response;
    TakeChanges(text, response);
    if (response.changes_size() > 0 && !writer->Write(response)) {
      return absl::CancelledError("the client left");
    }
  }
}

absl::Status Read(Runtime* runtime, const v1::ReadArchiveRequest& request,
                  grpc::ServerWriter<v1::ReadArchiveResponse>* writer) {
  ASSIGN_OR_RETURN(
      const std::unique_ptr<Archiver> archiver,
      runtime->OpenArchiver(request.container_id(), {.arguments = {"read", request.path()}}));
  archiver->CloseInput();
  ASSIGN_OR_RETURN(const ArchivePathStat stat, archiver->ReadStat());
  v1::ReadArchiveResponse first;
  PutStat(stat, first.mutable_stat());
  if (!writer->Write(first)) return absl::CancelledError("the client left");
  return SendOutput(*archiver, writer);
}

absl::Status Write(Runtime* runtime, grpc::ServerContext* context,
                   grpc::ServerReader<v1::WriteArchiveRequest>* reader) {
  v1::WriteArchiveRequest message;
  if (!reader->Read(&message) || !message.has_start()) {
    return absl::InvalidArgumentError("the first message of a written archive is its start");
  }
  const v1::WriteArchiveStart start = std::move(*message.mutable_start());
  std::string owner = "-";
  if (start.to_container_user()) {
    ASSIGN_OR_RETURN(owner, runtime->OwnerForCopies(start.container_id()));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<Archiver> archiver,
                   runtime->OpenArchiver(start.container_id(),
                                         {.arguments = {"write", start.path(),
                                                        start.keep_kinds() ? "k" : "-", owner}}));
  bool taken = true;
  while (taken && reader->Read(&message)) {
    ASSIGN_OR_RETURN(taken, archiver->WriteInput(message.data()));
  }
  // What came so far is no archive, and must not look like a whole one.
  if (context->IsCancelled()) return absl::CancelledError("the client left");
  archiver->CloseInput();
  RETURN_IF_ERROR(archiver->Finish());
  // What follows the end of an archive means nothing.
  while (reader->Read(&message)) {
  }
  return absl::OkStatus();
}

}  // namespace

grpc::Status StreamServiceHandler::ListChanges(
    grpc::ServerContext*, const v1::ListChangesRequest* request,
    grpc::ServerWriter<v1::ListChangesResponse>* writer) {
  const auto archiver =
      OpenReader(runtime_, request->container_id(), ArchiveView::kChanges, "diff");
  if (!archiver.ok()) return ToGrpc(archiver.status());
  return ToGrpc(SendChanges(**archiver, writer));
}

grpc::Status StreamServiceHandler::ExportContainer(
    grpc::ServerContext*, const v1::ExportContainerRequest* request,
    grpc::ServerWriter<v1::ExportContainerResponse>* writer) {
  const auto archiver = OpenReader(runtime_, request->container_id(), ArchiveView::kOwn, "export");
  if (!archiver.ok()) return ToGrpc(archiver.status());
  return ToGrpc(SendOutput(**archiver, writer));
}

grpc::Status StreamServiceHandler::ExportChanges(
    grpc::ServerContext*, const v1::ExportChangesRequest* request,
    grpc::ServerWriter<v1::ExportChangesResponse>* writer) {
  const auto archiver =
      OpenReader(runtime_, request->container_id(), ArchiveView::kChanges, "changes");
  if (!archiver.ok()) return ToGrpc(archiver.status());
  if (request->to_image_service()) {
    // An image service on another host has no door here.
    absl::StatusOr<std::string> token = GiveDescriptor(image_door_, (*archiver)->output());
    if (token.ok()) return ToGrpc(SendPipe(**archiver, *std::move(token), writer));
  }
  return ToGrpc(SendOutput(**archiver, writer));
}

grpc::Status StreamServiceHandler::StatPath(grpc::ServerContext*,
                                            const v1::StatPathRequest* request,
                                            v1::StatPathResponse* response) {
  const auto archiver =
      runtime_->OpenArchiver(request->container_id(), {.arguments = {"stat", request->path()}});
  if (!archiver.ok()) return ToGrpc(archiver.status());
  const auto stat = (*archiver)->ReadStat();
  if (stat.ok()) PutStat(*stat, response->mutable_stat());
  return ToGrpc(stat.status());
}

grpc::Status StreamServiceHandler::ReadArchive(
    grpc::ServerContext*, const v1::ReadArchiveRequest* request,
    grpc::ServerWriter<v1::ReadArchiveResponse>* writer) {
  return ToGrpc(Read(runtime_, *request, writer));
}

grpc::Status StreamServiceHandler::WriteArchive(grpc::ServerContext* context,
                                                grpc::ServerReader<v1::WriteArchiveRequest>* reader,
                                                v1::WriteArchiveResponse*) {
  return ToGrpc(Write(runtime_, context, reader));
}

}  // namespace slipway::agent
