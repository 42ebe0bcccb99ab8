#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gateway/clients/upload_call.h"
#include "gateway/docker/json_build.h"
#include "gateway/docker/path_stat.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
namespace cpb = slipway::container::v1;
namespace pb = slipway::agent::v1;
using Action = cpb::RecordAccessRequest;

constexpr size_t kPieceBytes = 256 << 10;
constexpr char kStatHeader[] = "X-Docker-Container-Path-Stat";

absl::StatusOr<std::string> PathOf(const ApiRequest& request) {
  std::string path = request.query.Get("path");
  if (path.empty()) return absl::InvalidArgumentError("bad parameter: 'path' cannot be empty");
  return path;
}

// Docker's words for what is not there.
absl::Status Missing(const absl::Status& status, const ApiRequest& request) {
  if (absl::IsNotFound(status) && absl::StartsWith(status.message(), "Could not find the file")) {
    return absl::NotFoundError(absl::StrCat(status.message(), " in container ", request.name));
  }
  return NameMissing(status, "container", request.name);
}

std::string CleanAbsolute(const std::string& path) {
  return absl::StartsWith(path, "/") ? path : absl::StrCat("/", path);
}

// A stream of bytes to the client; `stream` has messages with `data`. The client sees it cut off
// when it fails.
template <typename Stream, typename Response>
Awaitable<absl::Status> SendBytes(ApiRequest& request, Stream stream, Response& response) {
  while (co_await stream->Next(response)) {
    CO_RETURN_IF_ERROR(co_await request.http.Write(response.data()));
  }
  const absl::Status finished = co_await stream->Finish();
  if (!finished.ok()) request.http.Abort();
  CO_RETURN_IF_ERROR(finished);
  co_return co_await request.http.EndStream();
}

int KindNumber(pb::PathChange::Kind kind) {
  switch (kind) {
    case pb::PathChange::KIND_ADDED:
      return 1;
    case pb::PathChange::KIND_DELETED:
      return 2;
    default:
      return 0;
  }
}

// The body into the call.
template <typename Upload>
Awaitable<absl::Status> SendBody(ApiRequest& request, Upload& upload) {
  bool taken = true;
  while (taken) {
    pb::WriteArchiveRequest piece;
    std::string& data = *piece.mutable_data();
    data.resize(kPieceBytes);
    CO_ASSIGN_OR_RETURN(const size_t count,
                        co_await request.http.ReadSome(data.data(), data.size()));
    if (count == 0) break;
    data.resize(count);
    taken = co_await upload->Write(std::move(piece));
  }
  co_return absl::OkStatus();
}

}  // namespace

Awaitable<absl::Status> ContainerChanges(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const cpb::Container container, co_await FindContainer(request));
  pb::ListChangesRequest list;
  list.set_container_id(container.id());
  auto stream = request.backends.Read(request.backends.stream(), &StreamCalls::ListChanges, list,
                                      request.endless());
  pb::ListChangesResponse response;
  json::array changes;
  while (co_await stream->Next(response)) {
    for (const pb::PathChange& change : response.changes()) {
      json::object one;
      one["Path"] = ValidUtf8(change.path());
      one["Kind"] = KindNumber(change.kind());
      changes.push_back(std::move(one));
    }
  }
  const absl::Status finished = co_await stream->Finish();
  if (!finished.ok()) co_return NameMissing(finished, "container", request.name);
  if (changes.empty()) co_return co_await request.http.SendJson(200, json::value(nullptr));
  co_return co_await request.http.SendJson(200, changes);
}

Awaitable<absl::Status> ContainerExport(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const cpb::Container container, co_await FindContainer(request));
  pb::ExportContainerRequest read;
  read.set_container_id(container.id());
  auto stream = request.backends.Read(request.backends.stream(), &StreamCalls::ExportContainer,
                                      read, request.endless());
  request.http.WatchDisconnect([stream] { stream->Cancel(); });
  pb::ExportContainerResponse response;
  if (!co_await stream->Next(response)) {
    const absl::Status finished = co_await stream->Finish();
    co_return NameMissing(finished, "container", request.name);
  }
  Announce(request, container.id(), Action::ACTION_EXPORT);
  CO_RETURN_IF_ERROR(co_await request.http.BeginStream(200, "application/octet-stream"));
  CO_RETURN_IF_ERROR(co_await request.http.Write(response.data()));
  co_return co_await SendBytes(request, stream, response);
}

Awaitable<absl::Status> ArchiveStat(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const std::string path, PathOf(request));
  CO_ASSIGN_OR_RETURN(const cpb::Container container, co_await FindContainer(request));
  pb::StatPathRequest stat;
  stat.set_container_id(container.id());
  stat.set_path(path);
  const auto found = co_await request.backends.Call(
      request.backends.stream(), &StreamCalls::StatPath, stat, request.options());
  if (!found.ok()) co_return Missing(found.status(), request);
  std::vector<ResponseHeader> headers;
  headers.push_back({kStatHeader, PathStatHeader(found->stat())});
  co_return co_await request.http.Send(200, "", "", std::move(headers));
}

Awaitable<absl::Status> ArchiveRead(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const std::string path, PathOf(request));
  CO_ASSIGN_OR_RETURN(const cpb::Container container, co_await FindContainer(request));
  pb::ReadArchiveRequest read;
  read.set_container_id(container.id());
  read.set_path(path);
  auto stream = request.backends.Read(request.backends.stream(), &StreamCalls::ReadArchive, read,
                                      request.endless());
  request.http.WatchDisconnect([stream] { stream->Cancel(); });
  pb::ReadArchiveResponse response;
  if (!co_await stream->Next(response)) {
    const absl::Status finished = co_await stream->Finish();
    co_return Missing(finished, request);
  }
  Announce(request, container.id(), Action::ACTION_ARCHIVE_PATH, {{"path", CleanAbsolute(path)}});
  std::vector<ResponseHeader> headers;
  headers.push_back({kStatHeader, PathStatHeader(response.stat())});
  CO_RETURN_IF_ERROR(
      co_await request.http.BeginStream(200, "application/x-tar", std::move(headers)));
  co_return co_await SendBytes(request, stream, response);
}

Awaitable<absl::Status> ArchiveWrite(ApiRequest& request) {
  CO_ASSIGN_OR_RETURN(const std::string path, PathOf(request));
  CO_ASSIGN_OR_RETURN(const cpb::Container container, co_await FindContainer(request));
  pb::WriteArchiveRequest first;
  first.mutable_start()->set_container_id(container.id());
  first.mutable_start()->set_path(path);
  first.mutable_start()->set_keep_kinds(request.query.GetBool("noOverwriteDirNonDir"));
  first.mutable_start()->set_to_container_user(request.query.GetBool("copyUIDGID"));
  auto upload = OpenUpload(request.backends.calls(), request.backends.stream(),
                           &StreamCalls::WriteArchive, request.endless());
  const bool taken = co_await upload->Write(std::move(first));
  if (taken) CO_RETURN_IF_ERROR(co_await SendBody(request, upload));
  const auto written = co_await upload->Finish();
  if (!written.ok()) co_return Missing(written.status(), request);
  Announce(request, container.id(), Action::ACTION_EXTRACT_TO_DIRECTORY,
           {{"path", CleanAbsolute(path)}});
  co_return co_await request.http.SendEmpty(200);
}

}  // namespace slipway::gateway
