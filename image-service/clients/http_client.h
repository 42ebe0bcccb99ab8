#ifndef IMAGE_SERVICE_CLIENTS_HTTP_CLIENT_H_
#define IMAGE_SERVICE_CLIENTS_HTTP_CLIENT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "image-service/clients/url.h"
#include "image-service/domain/cancellation.h"

namespace slipway::image {

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case; repeated ones joined by ", "
  std::string body;
  Url url;  // that answered

  std::string Header(absl::string_view name) const;
};

struct HttpRequest {
  Url url;
  std::string method;                // empty: GET, or POST for a form
  std::vector<std::string> headers;  // "Name: value"
  std::string form;                  // not empty: POST of application/x-www-form-urlencoded
  std::string authorization;         // value of that header; dropped on the way to another origin
  int64_t body_limit_bytes = 0;      // of the collected body
  absl::Duration timeout = absl::Seconds(60);  // of the whole; infinite for streamed bodies
  // The request's body: `body` as it is, or `body_bytes` that `read_body` fills in by position. The
  // latter is never sent a second time without the caller knowing.
  std::string body;
  int64_t body_bytes = 0;
  std::function<absl::StatusOr<size_t>(int64_t offset, char* data, size_t size)> read_body;
  // Gets the body of a 2xx answer, with its status and headers, instead of it being collected.
  std::function<absl::Status(const HttpResponse& response, absl::string_view bytes)> sink;
};

// Whether who failed like this did speak TLS.
bool SpokeTls(const absl::Status& failure);

struct HttpOptions {
  std::string ca_file;  // PEM, trusted besides the system's; empty: none
  // <host[:port]> below it has what is for that host, as Docker's certs.d: every *.crt is trusted,
  // NAME.cert with NAME.key is the client's certificate.
  std::string certs_dir;
  absl::Duration connect_timeout = absl::Seconds(10);
  // A connection that moves less than a byte a second for so long is given up.
  absl::Duration stall_timeout = absl::Seconds(30);
};

// GET, HEAD, POST, PUT, PATCH and DELETE over libcurl: HTTP/1.1 and, over TLS, HTTP/2; connections
// are kept and used again; proxies as the environment says. Follows up to 10 redirects, never from
// https to http. Transport failures are Unavailable (DeadlineExceeded never leaves here),
// certificate failures FailedPrecondition, cancellation Cancelled; every HTTP status is a success
// here. Thread-safe.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();

  // After a 303, and a 301 or 302 of a POST, goes on with GET (RFC 9110, 15.4).
  absl::StatusOr<HttpResponse> Send(HttpRequest request, const Cancellation& cancel);
  // Whether a certificate authority was configured for this host.
  bool HasCertificate(absl::string_view authority) const;

 private:
  struct Transfer;
  class Handle;

  absl::StatusOr<HttpResponse> SendOnce(const HttpRequest& request, const Url& url,
                                        bool with_authorization, const Cancellation& cancel);
  // Method and body; `handle` is libcurl's.
  static void SetMethod(void* handle, Transfer& transfer);
  // Certificates that are for this host; IO errors name the file.
  struct HostCertificates {
    std::string trusted;  // PEM; empty: the system's
    std::string client_certificate_path;
    std::string client_key_path;
  };
  absl::StatusOr<HostCertificates> CertificatesFor(absl::string_view authority) const;
  std::unique_ptr<Handle> TakeHandle();
  void ReturnHandle(std::unique_ptr<Handle> handle);

  const HttpOptions options_;
  absl::Mutex mu_;
  std::vector<std::unique_ptr<Handle>> idle_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_CLIENTS_HTTP_CLIENT_H_
