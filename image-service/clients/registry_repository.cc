#include "image-service/clients/registry_repository.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "image-service/clients/registry_client.h"

namespace slipway::image {
namespace {

constexpr int64_t kMaxManifestBytes = 4 << 20;
constexpr absl::Duration kMaxRetryAfter = absl::Seconds(30);

bool IsTemporary(int status) { return status == 429 || status >= 500; }

absl::Status Annotate(const absl::Status& status, absl::string_view what) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
}

// Where a 206 answer begins; -1 when it does not say.
int64_t RangeStart(const std::string& content_range) {
  absl::string_view rest = content_range;
  if (!absl::StartsWith(rest, "bytes ")) return -1;
  rest.remove_prefix(6);
  int64_t start = -1;
  return absl::SimpleAtoi(rest.substr(0, rest.find('-')), &start) ? start : -1;
}

}  // namespace

// How far a blob's download got.
struct HttpRegistryRepository::BlobPosition {
  int64_t received = 0;
  int64_t size = 0;
  absl::Status sink_failure;
  absl::Duration retry_after = absl::ZeroDuration();
};

absl::Duration RetryAfter(const std::string& header, absl::Duration fallback,
                          absl::Duration limit) {
  int64_t seconds = 0;
  if (absl::SimpleAtoi(header, &seconds)) {
    return std::clamp(absl::Seconds(seconds), absl::ZeroDuration(), limit);
  }
  absl::Time date;
  if (!header.empty() && absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", header, &date, nullptr)) {
    return std::clamp(date - absl::Now(), absl::ZeroDuration(), limit);
  }
  return fallback;
}

HttpRegistryRepository::HttpRegistryRepository(RegistryClient& client, ImageReference reference,
                                               RegistryCredentials credentials,
                                               RegistryAccess access, std::optional<Url> base)
    : client_(client),
      reference_(std::move(reference)),
      credentials_(std::move(credentials)),
      access_(access),
      base_(std::move(base)) {
  if (!credentials_.registry_token.empty()) {
    absl::MutexLock lock(&mu_);
    authorization_ = absl::StrCat("Bearer ", credentials_.registry_token);
  }
}

std::string HttpRegistryRepository::authorization() {
  absl::MutexLock lock(&mu_);
  return authorization_;
}

// One token for all that a push does, instead of one for each challenge.
std::string HttpRegistryRepository::Scope() {
  const bool push = access_ == RegistryAccess::kPush;
  std::string scope = absl::StrCat("repository:", reference_.path(), push ? ":pull,push" : ":pull");
  absl::MutexLock lock(&mu_);
  for (const std::string& from : mounted_from_) {
    absl::StrAppend(&scope, " repository:", from, ":pull");
  }
  return scope;
}

absl::Status HttpRegistryRepository::Authorize(const HttpResponse& response, bool fresh,
                                               const Cancellation& cancel) {
  if (!credentials_.registry_token.empty()) {
    return absl::UnauthenticatedError("unauthorized: the registry token was refused");
  }
  const std::string scope = Scope();
  absl::Status failure = absl::UnauthenticatedError("unauthorized: authentication required");
  for (const AuthChallenge& challenge : ParseAuthChallenges(response.Header("www-authenticate"))) {
    if (challenge.scheme != "bearer" && challenge.scheme != "basic") continue;
    AuthChallenge wanted = challenge;
    if (access_ == RegistryAccess::kPush) wanted.parameters.erase("scope");
    auto answer = client_.tokens().Answer(wanted, response.url, scope, credentials_, fresh, cancel);
    if (answer.ok()) {
      absl::MutexLock lock(&mu_);
      authorization_ = *std::move(answer);
      return absl::OkStatus();
    }
    failure = answer.status();
  }
  return failure;
}

absl::StatusOr<Url> HttpRegistryRepository::BaseUrl(const Cancellation& cancel) {
  if (base_.has_value()) return *base_;
  return client_.BaseUrl(reference_.domain(), cancel);
}

absl::StatusOr<HttpResponse> HttpRegistryRepository::Send(const std::string& path,
                                                          HttpRequest request,
                                                          const Cancellation& cancel) {
  ASSIGN_OR_RETURN(Url url, BaseUrl(cancel));
  url.rest = absl::StrCat("/v2/", reference_.path(), "/", path);
  return SendTo(std::move(url), std::move(request), cancel);
}

absl::StatusOr<HttpResponse> HttpRegistryRepository::SendTo(Url url, HttpRequest request,
                                                            const Cancellation& cancel) {
  ASSIGN_OR_RETURN(const Url registry, BaseUrl(cancel));
  request.url = std::move(url);
  const bool ours = request.url.SameOrigin(registry);
  const std::string before = authorization();
  if (ours) request.authorization = before;
  ASSIGN_OR_RETURN(HttpResponse response, client_.http().Send(request, cancel));
  // A challenge of whoever the registry redirected to is not ours to answer.
  if (response.status != 401 || !ours || !response.url.SameOrigin(request.url)) return response;
  // A token that was refused has ended early: the next one must be new.
  if (absl::Status status = Authorize(response, /*fresh=*/!before.empty(), cancel); !status.ok()) {
    if (!absl::IsUnauthenticated(status)) return status;
    return absl::UnauthenticatedError(absl::StrCat(Denied(), status.message()));
  }
  request.authorization = authorization();
  return client_.http().Send(std::move(request), cancel);
}

absl::StatusOr<HttpResponse> HttpRegistryRepository::SendWithRetries(const std::string& path,
                                                                     const HttpRequest& request,
                                                                     const Cancellation& cancel) {
  absl::Duration backoff = client_.options().first_backoff;
  for (int attempt = 1;; ++attempt) {
    absl::StatusOr<HttpResponse> response = Send(path, request, cancel);
    const bool temporary =
        response.ok() ? IsTemporary(response->status) : absl::IsUnavailable(response.status());
    if (!temporary || attempt >= client_.options().max_attempts) return response;
    const absl::Duration wait =
        response.ok() ? RetryAfter(response->Header("retry-after"), backoff, kMaxRetryAfter)
                      : backoff;
    if (!cancel.SleepFor(wait)) return absl::CancelledError("the pull was cancelled");
    backoff = std::min(backoff * 2, client_.options().max_backoff);
  }
}

absl::StatusOr<FetchedManifest> HttpRegistryRepository::FetchManifest(
    const ImageReference& reference, const Cancellation& cancel) {
  const std::string wanted =
      reference.digest().empty() ? reference.tag() : reference.digest().ToString();
  const std::string resolve =
      absl::StrCat("failed to resolve reference \"", reference.FullString(), "\"");
  HttpRequest request;
  request.body_limit_bytes = kMaxManifestBytes;
  request.headers = {
      "Accept: application/vnd.docker.distribution.manifest.v2+json, "
      "application/vnd.docker.distribution.manifest.list.v2+json, "
      "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"};
  absl::StatusOr<HttpResponse> response =
      SendWithRetries(absl::StrCat("manifests/", wanted), request, cancel);
  if (!response.ok()) {
    if (absl::IsUnauthenticated(response.status()) || absl::IsCancelled(response.status())) {
      return response.status();
    }
    return Annotate(response.status(), resolve);
  }
  if (response->status != 200) return ErrorOf(*response, reference);
  FetchedManifest manifest;
  manifest.digest = Digest::OfBytes(response->body);
  const std::string told = response->Header("docker-content-digest");
  const std::string expected = !reference.digest().empty() ? wanted : told;
  if (!expected.empty() && expected != manifest.digest.ToString() &&
      absl::StartsWith(expected, "sha256:")) {
    return absl::DataLossError(absl::StrCat(resolve, ": manifest verification failed for digest ",
                                            expected.substr(0, 100), ": got ",
                                            manifest.digest.ToString()));
  }
  manifest.media_type = response->Header("content-type");
  manifest.media_type = manifest.media_type.substr(0, manifest.media_type.find(';'));
  manifest.body = std::move(response->body);
  return manifest;
}

absl::StatusOr<std::string> HttpRegistryRepository::FetchBlob(const Digest& digest,
                                                              int64_t limit_bytes,
                                                              const Cancellation& cancel) {
  HttpRequest request;
  request.body_limit_bytes = limit_bytes;
  ASSIGN_OR_RETURN(HttpResponse response,
                   SendWithRetries(absl::StrCat("blobs/", digest.ToString()), request, cancel));
  if (response.status != 200) {
    return Annotate(ErrorOf(response, reference_), absl::StrCat("blob ", digest.ToString()));
  }
  const Digest actual = Digest::OfBytes(response.body);
  if (actual != digest) {
    return absl::DataLossError(absl::StrCat("filesystem layer verification failed for digest ",
                                            digest.ToString(), ": got ", actual.ToString()));
  }
  return std::move(response.body);
}

absl::Status HttpRegistryRepository::DownloadOnce(
    const std::string& path, BlobPosition& position,
    const std::function<absl::Status(absl::string_view)>& sink, const Cancellation& cancel) {
  HttpRequest request;
  if (position.received > 0) {
    request.headers.push_back(absl::StrCat("Range: bytes=", position.received, "-"));
  }
  const int64_t begin = position.received;
  int64_t skip = -1;
  request.sink = [&](const HttpResponse& response, absl::string_view bytes) -> absl::Status {
    if (skip < 0) {
      // A registry that does not know ranges sends all of it once more.
      const int64_t start =
          response.status == 206 ? RangeStart(response.Header("content-range")) : 0;
      if (start < 0 || start > begin) {
        position.sink_failure =
            absl::DataLossError("registry answered with another range than was asked for");
        return position.sink_failure;
      }
      skip = begin - start;
    }
    const int64_t skipped = std::min<int64_t>(skip, static_cast<int64_t>(bytes.size()));
    skip -= skipped;
    bytes.remove_prefix(static_cast<size_t>(skipped));
    if (bytes.empty()) return absl::OkStatus();
    if (position.received + static_cast<int64_t>(bytes.size()) > position.size) {
      position.sink_failure = absl::DataLossError(
          absl::StrCat("registry sent more than the ", position.size, " bytes of the layer"));
      return position.sink_failure;
    }
    position.sink_failure = sink(bytes);
    if (position.sink_failure.ok()) position.received += static_cast<int64_t>(bytes.size());
    return position.sink_failure;
  };
  ASSIGN_OR_RETURN(const HttpResponse response, Send(path, request, cancel));
  if (response.status == 206 || response.status == 200) {
    if (position.received == position.size) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("connection ended after ", position.received, " of ",
                                               position.size, " bytes"));
  }
  if (response.status == 416) {
    return absl::DataLossError(absl::StrCat("registry has fewer than the ", position.size,
                                            " bytes that the manifest says"));
  }
  position.retry_after =
      RetryAfter(response.Header("retry-after"), absl::ZeroDuration(), kMaxRetryAfter);
  return ErrorOf(response, reference_);
}

absl::Status HttpRegistryRepository::DownloadBlob(
    const Digest& digest, int64_t offset, int64_t size_bytes,
    const std::function<absl::Status(absl::string_view)>& sink,
    const std::function<void()>& on_retry, const Cancellation& cancel) {
  BlobPosition position{.received = offset, .size = size_bytes};
  const std::string path = absl::StrCat("blobs/", digest.ToString());
  absl::Duration backoff = client_.options().first_backoff;
  int attempt = 1;
  while (position.received < size_bytes) {
    const int64_t before = position.received;
    const absl::Status status = DownloadOnce(path, position, sink, cancel);
    if (status.ok()) return status;
    if (!position.sink_failure.ok()) return position.sink_failure;
    if (cancel.cancelled()) return absl::CancelledError("the pull was cancelled");
    if (!absl::IsUnavailable(status)) {
      return Annotate(status, absl::StrCat("download ", digest.ToString()));
    }
    // What makes progress may go on; a dead registry gets a bounded number of chances.
    if (position.received > before + (1 << 20)) {
      attempt = 1;
      backoff = client_.options().first_backoff;
    }
    if (attempt++ >= client_.options().max_attempts) {
      return Annotate(status, absl::StrCat("download ", digest.ToString()));
    }
    on_retry();
    if (!cancel.SleepFor(std::max(backoff, position.retry_after))) {
      return absl::CancelledError("the pull was cancelled");
    }
    position.retry_after = absl::ZeroDuration();
    backoff = std::min(backoff * 2, client_.options().max_backoff);
  }
  return absl::OkStatus();
}

}  // namespace slipway::image
