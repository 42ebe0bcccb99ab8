#include "image-service/clients/http_client.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>
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

constexpr char kSpokeTls[] = "slipway.image/spoke-tls";

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

// libcurl reads http_proxy, https_proxy, HTTPS_PROXY and NO_PROXY, but not HTTP_PROXY, which a CGI
// program could be given by a client; this is none.
void SetProxy(CURL* curl, const Url& url) {
  // As Docker does: a proxy cannot know what loopback is here.
  if (IsLoopback(url.authority)) {
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    return;
  }
  const char* lower = getenv("http_proxy");
  const char* upper = getenv("HTTP_PROXY");
  if (url.scheme == "http" && lower == nullptr && upper != nullptr) {
    curl_easy_setopt(curl, CURLOPT_PROXY, upper);
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
  int64_t sent_bytes = 0;

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

  size_t OnRead(char* data, size_t size) {
    const auto left = static_cast<size_t>(request.body_bytes - sent_bytes);
    absl::StatusOr<size_t> count = request.read_body(sent_bytes, data, std::min(size, left));
    if (!count.ok()) {
      failure = count.status();
      return CURL_READFUNC_ABORT;
    }
    sent_bytes += static_cast<int64_t>(*count);
    return *count;
  }

  static size_t ReadCallback(char* data, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->OnRead(data, size * count);
  }
  // libcurl repeats a request by itself when a kept connection turns out to be closed. A part of a
  // body may have arrived then: only the caller knows how to go on.
  static int SeekCallback(void*, curl_off_t, int) { return CURL_SEEKFUNC_FAIL; }
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

bool SpokeTls(const absl::Status& failure) { return failure.GetPayload(kSpokeTls).has_value(); }

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
  const auto certificates = CertificatesFor(authority);
  return certificates.ok() &&
         (!certificates->trusted.empty() || !certificates->client_certificate_path.empty());
}

absl::StatusOr<HttpClient::HostCertificates> HttpClient::CertificatesFor(
    absl::string_view authority) const {
  HostCertificates certificates;
  std::vector<std::string> trusted;
  if (!options_.ca_file.empty()) trusted.push_back(options_.ca_file);
  std::error_code error;
  const std::string directory = absl::StrCat(options_.certs_dir, "/", authority);
  if (!options_.certs_dir.empty()) {
    for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
      const std::filesystem::path path = entry->path();
      if (path.extension() == ".crt") trusted.push_back(path);
      std::filesystem::path key = path;
      key.replace_extension(".key");
      if (path.extension() == ".cert" && access(key.c_str(), R_OK) == 0) {
        certificates.client_certificate_path = path;
        certificates.client_key_path = key;
      }
    }
  }
  if (trusted.empty()) return certificates;
  if (access(kSystemCertificates, R_OK) == 0) {
    ASSIGN_OR_RETURN(certificates.trusted, ReadFile(kSystemCertificates));
  }
  for (const std::string& path : trusted) {
    ASSIGN_OR_RETURN(const std::string pem, ReadFile(path));
    absl::StrAppend(&certificates.trusted, "\n", pem);
  }
  return certificates;
}

void HttpClient::SetMethod(void* handle, Transfer& transfer) {
  CURL* curl = static_cast<CURL*>(handle);
  const HttpRequest& request = transfer.request;
  if (request.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (request.read_body) {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body_bytes));
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, &Transfer::ReadCallback);
    curl_easy_setopt(curl, CURLOPT_READDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, &Transfer::SeekCallback);
  } else if (!request.form.empty()) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.form.c_str());
  } else if (!request.method.empty() && request.method != "GET" && request.method != "HEAD") {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.c_str());
  }
  if (!request.method.empty() && request.method != "HEAD") {
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
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
  // Nobody waits for a go-ahead: a body that is refused is sent again.
  if (request.read_body || !request.body.empty()) Append(headers, "Expect:");
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
  if (!request.sink && !request.read_body && request.timeout != absl::InfiniteDuration()) {
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(absl::ToInt64Milliseconds(request.timeout)));
  }
  SetMethod(curl, transfer);
  SetProxy(curl, url);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Transfer::HeaderCallback);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::BodyCallback);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::ProgressCallback);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  HostCertificates certificates;
  if (url.scheme == "https") {
    ASSIGN_OR_RETURN(certificates, CertificatesFor(url.authority));
    const std::string& pem = certificates.trusted;
    curl_blob blob{
        .data = const_cast<char*>(pem.data()), .len = pem.size(), .flags = CURL_BLOB_NOCOPY};
    if (!pem.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    if (!certificates.client_certificate_path.empty()) {
      curl_easy_setopt(curl, CURLOPT_SSLCERT, certificates.client_certificate_path.c_str());
      curl_easy_setopt(curl, CURLOPT_SSLKEY, certificates.client_key_path.c_str());
    }
  }
  const CURLcode code = curl_easy_perform(curl);
  double handshake_s = 0;
  curl_easy_getinfo(curl, CURLINFO_APPCONNECT_TIME, &handshake_s);
  ReturnHandle(std::move(handle));
  if (cancel.cancelled()) return absl::CancelledError("the request was cancelled");
  if (!transfer.failure.ok()) return transfer.failure;
  if (code != CURLE_OK) {
    absl::Status status = FromCurl(code, error, url);
    // A handshake that was done, or refused by an alert of TLS's own.
    if (handshake_s > 0 || absl::StrContains(error, "alert")) status.SetPayload(kSpokeTls, {});
    return status;
  }
  transfer.response.url = url;
  return std::move(transfer.response);
}

absl::StatusOr<HttpResponse> HttpClient::Send(HttpRequest request, const Cancellation& cancel) {
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
    const bool keeps_method = response.status == 307 || response.status == 308;
    if (!keeps_method && request.method != "HEAD") {
      request.method.clear();
      request.form.clear();
      request.body.clear();
      request.read_body = nullptr;
    }
    url = *std::move(next);
  }
  return absl::UnavailableError(
      absl::StrCat(request.url.authority, ": more than ", kMaxRedirects, " redirects"));
}

}  // namespace slipway::image
