#include "image-service/clients/http_client.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr int kMaxRedirects = 10;
constexpr size_t kMaxIdle = 8;
constexpr int64_t kMaxErrorBytes = 64 << 10;
constexpr size_t kMaxHeaderBytes = 256 << 10;
constexpr char kSystemCertificates[] = "/etc/ssl/certs/ca-certificates.crt";

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

void Append(HeaderList& list, const std::string& line) {
  list.reset(curl_slist_append(list.release(), line.c_str()));
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

absl::Status FromCurl(CURLcode code, const char* detail, const Url& url) {
  const std::string message = absl::StrCat(url.scheme, "://", url.authority, ": ",
                                           detail[0] != '\0' ? detail : curl_easy_strerror(code));
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return absl::FailedPreconditionError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace

// An easy handle with the connections that it keeps.
class HttpClient::Handle {
 public:
  Handle() : curl_(curl_easy_init()) {}
  ~Handle() { curl_easy_cleanup(curl_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  CURL* get() const { return curl_; }

 private:
  CURL* const curl_;
};

// What the callbacks of one request share.
struct HttpClient::Transfer {
  const HttpRequest& request;
  const Cancellation& cancel;
  HttpResponse response;
  absl::Status failure;
  size_t header_bytes = 0;

  size_t OnHeader(absl::string_view line) {
    header_bytes += line.size();
    if (header_bytes > kMaxHeaderBytes) {
      failure = absl::ResourceExhaustedError("headers are too long");
      return 0;
    }
    if (absl::StartsWith(line, "HTTP/")) {
      // A new answer begins (after 100 Continue or a proxy's).
      response.headers.clear();
      response.status = 0;
      const size_t blank = line.find(' ');
      if (blank != absl::string_view::npos) {
        response.status = atoi(std::string(line.substr(blank + 1, 3)).c_str());
      }
      return line.size();
    }
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos) return line.size();
    const std::string name = absl::AsciiStrToLower(line.substr(0, colon));
    const absl::string_view value = absl::StripAsciiWhitespace(line.substr(colon + 1));
    std::string& held = response.headers[name];
    if (!held.empty()) held += ", ";
    absl::StrAppend(&held, value);
    return line.size();
  }

  size_t OnBody(absl::string_view bytes) {
    if (request.sink && response.status / 100 == 2) {
      failure = request.sink(response, bytes);
      return failure.ok() ? bytes.size() : 0;
    }
    // Bodies of errors and redirects are for messages only.
    const int64_t limit = response.status / 100 == 2 ? request.body_limit_bytes : kMaxErrorBytes;
    if (static_cast<int64_t>(response.body.size() + bytes.size()) > limit) {
      if (response.status / 100 != 2) return bytes.size();
      failure =
          absl::ResourceExhaustedError(absl::StrCat("answer is longer than ", limit, " bytes"));
      return 0;
    }
    response.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }

  static size_t HeaderCallback(char* data, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->OnHeader(absl::string_view(data, size * count));
  }
  static size_t BodyCallback(char* data, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->OnBody(absl::string_view(data, size * count));
  }
  static int ProgressCallback(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Transfer*>(self)->cancel.cancelled() ? 1 : 0;
  }
};

std::string HttpResponse::Header(absl::string_view name) const {
  const auto found = headers.find(std::string(name));
  return found == headers.end() ? "" : found->second;
}

HttpClient::HttpClient(HttpOptions options) : options_(std::move(options)) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

HttpClient::~HttpClient() = default;

std::unique_ptr<HttpClient::Handle> HttpClient::TakeHandle() {
  absl::MutexLock lock(&mu_);
  if (idle_.empty()) return std::make_unique<Handle>();
  std::unique_ptr<Handle> handle = std::move(idle_.back());
  idle_.pop_back();
  return handle;
}

void HttpClient::ReturnHandle(std::unique_ptr<Handle> handle) {
  // Keeps connections and sessions, forgets every option.
  curl_easy_reset(handle->get());
  absl::MutexLock lock(&mu_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(handle));
}

bool HttpClient::HasCertificate(absl::string_view authority) const {
  if (!options_.ca_file.empty()) return true;
  if (options_.certs_dir.empty()) return false;
  const std::string path = absl::StrCat(options_.certs_dir, "/", authority, "/ca.crt");
  return access(path.c_str(), R_OK) == 0;
}

absl::StatusOr<std::string> HttpClient::CaBundle(absl::string_view authority) {
  std::string bundle;
  const std::string own = absl::StrCat(options_.certs_dir, "/", authority, "/ca.crt");
  const bool has_own = !options_.certs_dir.empty() && access(own.c_str(), R_OK) == 0;
  if (!has_own && options_.ca_file.empty()) return bundle;
  if (access(kSystemCertificates, R_OK) == 0) {
    ASSIGN_OR_RETURN(bundle, ReadFile(kSystemCertificates));
  }
  for (const std::string& path : {has_own ? own : std::string(), options_.ca_file}) {
    if (path.empty()) continue;
    ASSIGN_OR_RETURN(const std::string pem, ReadFile(path));
    absl::StrAppend(&bundle, "\n", pem);
  }
  return bundle;
}

absl::StatusOr<HttpResponse> HttpClient::SendOnce(const HttpRequest& request, const Url& url,
                                                  bool with_authorization,
                                                  const Cancellation& cancel) {
  std::unique_ptr<Handle> handle = TakeHandle();
  CURL* curl = handle->get();
  Transfer transfer{.request = request, .cancel = cancel};
  char error[CURL_ERROR_SIZE] = "";
  HeaderList headers;
  for (const std::string& header : request.headers) Append(headers, header);
  if (with_authorization) Append(headers, absl::StrCat("Authorization: ", request.authorization));
  const std::string address = url.ToString();
  curl_easy_setopt(curl, CURLOPT_URL, address.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "slipway-image");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512L << 10);
  curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 4L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(options_.connect_timeout)));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                   static_cast<long>(absl::ToInt64Seconds(options_.stall_timeout)));
  if (!request.sink && request.timeout != absl::InfiniteDuration()) {
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(absl::ToInt64Milliseconds(request.timeout)));
  }
  // As Docker does: a proxy cannot know what loopback is here.
  if (IsLoopback(url.authority)) curl_easy_setopt(curl, CURLOPT_PROXY, "");
  if (!request.form.empty()) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.form.c_str());
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Transfer::HeaderCallback);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::BodyCallback);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::ProgressCallback);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  std::string bundle;
  if (url.scheme == "https") {
    ASSIGN_OR_RETURN(bundle, CaBundle(url.authority));
    curl_blob blob{.data = bundle.data(), .len = bundle.size(), .flags = CURL_BLOB_NOCOPY};
    if (!bundle.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
  }
  const CURLcode code = curl_easy_perform(curl);
  ReturnHandle(std::move(handle));
  if (cancel.cancelled()) return absl::CancelledError("the request was cancelled");
  if (!transfer.failure.ok()) return transfer.failure;
  if (code != CURLE_OK) return FromCurl(code, error, url);
  transfer.response.url = url;
  return std::move(transfer.response);
}

absl::StatusOr<HttpResponse> HttpClient::Send(const HttpRequest& request,
                                              const Cancellation& cancel) {
  Url url = request.url;
  bool with_authorization = !request.authorization.empty();
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    ASSIGN_OR_RETURN(HttpResponse response, SendOnce(request, url, with_authorization, cancel));
    const std::string location = response.Header("location");
    if (!IsRedirect(response.status) || location.empty()) return response;
    auto next = url.Resolve(location);
    if (!next.ok()) {
      return absl::UnavailableError(
          absl::StrCat(url.authority, " redirects badly: ", next.status().message()));
    }
    if (url.scheme == "https" && next->scheme == "http") {
      return absl::UnavailableError(
          absl::StrCat(url.authority, " redirects from https to http, refused"));
    }
    if (!next->SameOrigin(request.url)) with_authorization = false;
    url = *std::move(next);
  }
  return absl::UnavailableError(
      absl::StrCat(request.url.authority, ": more than ", kMaxRedirects, " redirects"));
}

}  // namespace slipway::image
