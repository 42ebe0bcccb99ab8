#include <algorithm>
#include <boost/json/value.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "image-service/clients/registry_client.h"
#include "image-service/clients/registry_repository.h"
#include "image-service/oci/bounded_json.h"

// What changes a registry, after the OCI distribution-spec 1.0, "Push", as Docker does it: begin an
// upload, send the blob, say its digest.
namespace slipway::image {
namespace {

constexpr int64_t kMaxAnswerBytes = 64 << 10;
constexpr int64_t kMaxTagsBytes = 4 << 20;
constexpr size_t kMaxTags = 10000;
constexpr int kMaxPages = 1000;

absl::Status Annotate(const absl::Status& status, absl::string_view what) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
}

HttpRequest Request(absl::string_view method) {
  HttpRequest request;
  request.method = std::string(method);
  request.body_limit_bytes = kMaxAnswerBytes;
  return request;
}

// How many bytes a Range header "0-1023" says are there; "0-0" is what registries say of none.
int64_t ReceivedBytes(const std::string& range) {
  const size_t dash = range.find('-');
  int64_t last = 0;
  if (dash == std::string::npos || !absl::SimpleAtoi(range.substr(dash + 1), &last)) return 0;
  return last <= 0 ? 0 : last + 1;
}

// The target of a Link header's rel="next" (RFC 8288); empty without one.
std::string NextLink(const std::string& link) {
  const size_t begin = link.find('<');
  const size_t end = link.find('>', begin);
  if (begin == std::string::npos || end == std::string::npos) return "";
  if (!absl::StrContains(link.substr(end), "next")) return "";
  return link.substr(begin + 1, end - begin - 1);
}

absl::Status ReadTags(const std::string& body, std::vector<std::string>& tags) {
  return BoundedJson::Parse(
      body, "list of tags", [&](const boost::json::value& document) -> absl::Status {
        if (!document.is_object()) return absl::InvalidArgumentError("not an object");
        std::vector<std::string> page;
        RETURN_IF_ERROR(ReadStrings(document.get_object(), "tags", &page));
        if (tags.size() + page.size() > kMaxTags) {
          return absl::ResourceExhaustedError(absl::StrCat("more than ", kMaxTags, " tags"));
        }
        tags.insert(tags.end(), page.begin(), page.end());
        return absl::OkStatus();
      });
}

}  // namespace

// An upload under way.
struct HttpRegistryRepository::Upload {
  int64_t size_bytes = 0;
  int64_t sent_bytes = 0;
  std::optional<Url> location;  // none: not begun
  absl::Status source_failure;

  absl::Status Follow(const HttpResponse& response) {
    const std::string header = response.Header("location");
    if (header.empty()) {
      return absl::UnavailableError("registry did not say where to send the blob");
    }
    ASSIGN_OR_RETURN(location, response.url.Resolve(header));
    return absl::OkStatus();
  }
};

absl::StatusOr<std::vector<std::string>> HttpRegistryRepository::ListTags(
    const Cancellation& cancel) {
  std::vector<std::string> tags;
  std::string path = "tags/list";
  for (int page = 0; page < kMaxPages; ++page) {
    HttpRequest request = Request("GET");
    request.body_limit_bytes = kMaxTagsBytes;
    ASSIGN_OR_RETURN(const HttpResponse response, SendWithRetries(path, request, cancel));
    if (response.status != 200) return ErrorOf(response, reference_);
    RETURN_IF_ERROR(ReadTags(response.body, tags));
    const std::string next = NextLink(response.Header("link"));
    if (next.empty()) break;
    ASSIGN_OR_RETURN(const Url url, response.url.Resolve(next));
    const std::string base = absl::StrCat("/v2/", reference_.path(), "/");
    if (!absl::StartsWith(url.rest, base)) break;
    path = url.rest.substr(base.size());
  }
  return tags;
}

absl::StatusOr<bool> HttpRegistryRepository::HasBlob(const Digest& digest,
                                                     const Cancellation& cancel) {
  ASSIGN_OR_RETURN(
      const HttpResponse response,
      SendWithRetries(absl::StrCat("blobs/", digest.ToString()), Request("HEAD"), cancel));
  if (response.status == 200) return true;
  if (response.status == 404) return false;
  return Annotate(ErrorOf(response, reference_), absl::StrCat("blob ", digest.ToString()));
}

absl::StatusOr<bool> HttpRegistryRepository::MountBlob(const Digest& digest,
                                                       const std::string& from_path,
                                                       const Cancellation& cancel) {
  {
    absl::MutexLock lock(&mu_);
    if (std::find(mounted_from_.begin(), mounted_from_.end(), from_path) == mounted_from_.end()) {
      mounted_from_.push_back(from_path);
      // The token that is there does not cover it.
      if (credentials_.registry_token.empty() && absl::StartsWith(authorization_, "Bearer ")) {
        authorization_.clear();
      }
    }
  }
  const std::string path =
      absl::StrCat("blobs/uploads/?mount=", digest.ToString(), "&from=", QueryEscape(from_path));
  ASSIGN_OR_RETURN(const HttpResponse response, Send(path, Request("POST"), cancel));
  if (response.status == 201) return true;
  if (response.status == 202) {
    Upload upload;
    if (upload.Follow(response).ok()) {
      (void)SendTo(*upload.location, Request("DELETE"), cancel);
    }
  }
  return false;
}

absl::Status HttpRegistryRepository::BeginUpload(Upload& upload, const Cancellation& cancel) {
  ASSIGN_OR_RETURN(const HttpResponse response, Send("blobs/uploads/", Request("POST"), cancel));
  if (response.status != 202) return ErrorOf(response, reference_);
  upload.sent_bytes = 0;
  return upload.Follow(response);
}

absl::Status HttpRegistryRepository::ResumeUpload(Upload& upload, const Cancellation& cancel) {
  ASSIGN_OR_RETURN(const HttpResponse response, SendTo(*upload.location, Request("GET"), cancel));
  if (response.status != 204 && response.status != 200) {
    // Forgotten: from the start.
    upload.location.reset();
    return absl::OkStatus();
  }
  upload.sent_bytes = std::min(ReceivedBytes(response.Header("range")), upload.size_bytes);
  return response.Header("location").empty() ? absl::OkStatus() : upload.Follow(response);
}

absl::Status HttpRegistryRepository::SendChunk(Upload& upload, const BlobSource& source,
                                               const Cancellation& cancel) {
  const int64_t begin = upload.sent_bytes;
  const int64_t count = std::min(client_.options().upload_chunk_bytes, upload.size_bytes - begin);
  HttpRequest request = Request("PATCH");
  request.headers = {"Content-Type: application/octet-stream"};
  if (begin > 0 || count < upload.size_bytes) {
    request.headers.push_back(absl::StrCat("Content-Range: ", begin, "-", begin + count - 1));
  }
  request.body_bytes = count;
  request.read_body = [&](int64_t offset, char* data, size_t size) -> absl::StatusOr<size_t> {
    absl::StatusOr<size_t> read = source(begin + offset, data, size);
    if (!read.ok()) upload.source_failure = read.status();
    return read;
  };
  ASSIGN_OR_RETURN(const HttpResponse response, SendTo(*upload.location, request, cancel));
  if (response.status / 100 != 2) return ErrorOf(response, reference_);
  upload.sent_bytes = begin + count;
  return upload.Follow(response);
}

absl::Status HttpRegistryRepository::CompleteUpload(Upload& upload, const Digest& digest,
                                                    const Cancellation& cancel) {
  Url url = *upload.location;
  absl::StrAppend(&url.rest, absl::StrContains(url.rest, '?') ? "&" : "?",
                  "digest=", QueryEscape(digest.ToString()));
  HttpRequest request = Request("PUT");
  request.headers = {"Content-Type: application/octet-stream"};
  ASSIGN_OR_RETURN(const HttpResponse response, SendTo(std::move(url), request, cancel));
  if (response.status / 100 == 2) return absl::OkStatus();
  std::string code;
  const std::string text = RegistryErrorText(response.body, &code);
  if (code == "DIGEST_INVALID") return absl::DataLossError(text);
  return ErrorOf(response, reference_);
}

absl::Status HttpRegistryRepository::UploadOnce(Upload& upload, const Digest& digest,
                                                const BlobSource& source,
                                                const Cancellation& cancel) {
  if (upload.location.has_value()) RETURN_IF_ERROR(ResumeUpload(upload, cancel));
  if (!upload.location.has_value()) RETURN_IF_ERROR(BeginUpload(upload, cancel));
  while (upload.sent_bytes < upload.size_bytes) {
    RETURN_IF_ERROR(SendChunk(upload, source, cancel));
  }
  return CompleteUpload(upload, digest, cancel);
}

absl::Status HttpRegistryRepository::UploadBlob(const Digest& digest, int64_t size_bytes,
                                                const BlobSource& source,
                                                const std::function<void()>& on_retry,
                                                const Cancellation& cancel) {
  Upload upload;
  upload.size_bytes = size_bytes;
  absl::Duration backoff = client_.options().first_backoff;
  int attempt = 1;
  while (true) {
    const int64_t before = upload.sent_bytes;
    const absl::Status status = UploadOnce(upload, digest, source, cancel);
    if (status.ok()) return status;
    if (!upload.source_failure.ok()) return upload.source_failure;
    if (cancel.cancelled()) return absl::CancelledError("the push was cancelled");
    if (upload.sent_bytes > before + (1 << 20)) {
      attempt = 1;
      backoff = client_.options().first_backoff;
    }
    if (!absl::IsUnavailable(status) || attempt++ >= client_.options().max_attempts) {
      return Annotate(status, absl::StrCat("upload ", digest.ToString()));
    }
    on_retry();
    if (!cancel.SleepFor(backoff)) return absl::CancelledError("the push was cancelled");
    backoff = std::min(backoff * 2, client_.options().max_backoff);
  }
}

absl::Status HttpRegistryRepository::PutManifest(const ImageReference& reference,
                                                 const std::string& media_type,
                                                 const std::string& body,
                                                 const Cancellation& cancel) {
  HttpRequest request = Request("PUT");
  request.headers = {absl::StrCat("Content-Type: ", media_type)};
  request.body = body;
  const std::string name =
      reference.digest().empty() ? reference.tag() : reference.digest().ToString();
  ASSIGN_OR_RETURN(const HttpResponse response,
                   SendWithRetries(absl::StrCat("manifests/", name), request, cancel));
  if (response.status / 100 == 2) return absl::OkStatus();
  if (response.status == 400 || response.status == 415) {
    std::string code;
    const std::string text = RegistryErrorText(response.body, &code);
    if (response.status == 415 || code == "MANIFEST_INVALID" || code == "UNSUPPORTED") {
      return absl::InvalidArgumentError(
          text.empty() ? absl::StrCat("registry does not take manifests of type ", media_type)
                       : text);
    }
  }
  return ErrorOf(response, reference);
}

}  // namespace slipway::image
