#ifndef SERVICES_LOG_OUTLETS_HTTP_PUSH_H_
#define SERVICES_LOG_OUTLETS_HTTP_PUSH_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/log/ports/outlet.h"

namespace slipway::log {

struct HttpPushOptions {
  enum class Protocol { kLoki, kOtlp };
  Protocol protocol = Protocol::kLoki;
  std::string url;
  std::string tenant;  // of Loki
  // Labels of the stream, attributes of the resource.
  std::map<std::string, std::string> fields;
};

// The url may be a server's; the path that the protocol has is added then.
HttpPushOptions ParseHttpPushOptions(const ContainerId& id, const LogDescription& description);

// Loki's push API and OTLP over HTTP, both as JSON. A batch is one request.
class HttpPush : public Outlet {
 public:
  explicit HttpPush(HttpPushOptions options);
  ~HttpPush() override;
  absl::Status Send(const std::vector<OutletLine>& lines) override;

 private:
  struct Handle;

  const HttpPushOptions options_;
  std::unique_ptr<Handle> handle_;
};

// The request's body.
std::string HttpPushBody(const HttpPushOptions& options, const std::vector<OutletLine>& lines);

}  // namespace slipway::log

#endif  // SERVICES_LOG_OUTLETS_HTTP_PUSH_H_
