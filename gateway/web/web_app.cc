#include "gateway/web/web_app.h"

#include <boost/asio/ip/address.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/service/service.h"
#include "gateway/docker/container_json.h"
#include "gateway/http/exchange.h"
#include "gateway/http/url.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::container::v1;

constexpr absl::string_view kHtml = "text/html; charset=utf-8";
constexpr absl::string_view kText = "text/plain; charset=utf-8";

std::string Escape(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string Row(const pb::Container& container, int64_t now_unix_ns) {
  return absl::StrCat("<tr><td>", Escape(container.name()), "</td><td>",
                      Escape(container.spec().image()), "</td><td>",
                      Escape(StatusText(container.state(), now_unix_ns)), "</td><td>",
                      Escape(container.id().substr(0, 12)), "</td></tr>\n");
}

}  // namespace

bool IsLocalHostHeader(absl::string_view host) {
  if (absl::StartsWith(host, "[")) {
    host = host.substr(1, host.find(']') == absl::string_view::npos ? 0 : host.find(']') - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  if (absl::EqualsIgnoreCase(host, "localhost")) return true;
  error_code error;
  asio::ip::make_address(std::string(host), error);
  return !error;
}

Awaitable<void> WebApp::Serve(Exchange& exchange) {
  const RequestMetrics::Timer timer = request_metrics_.Begin();
  absl::string_view route_name = "unknown";
  const absl::Status status = co_await Dispatch(exchange, route_name);
  if (!status.ok() && !exchange.started()) {
    (void)co_await exchange.Send(400, kText, absl::StrCat(std::string(status.message()), "\n"));
  }
  request_metrics_.End(timer, exchange.method(), route_name, exchange.status());
}

Awaitable<absl::Status> WebApp::Dispatch(Exchange& exchange, absl::string_view& route_name) {
  if (!IsLocalHostHeader(exchange.Header("Host"))) {
    co_return co_await exchange.Send(421, kText, "ask for this machine by its address\n");
  }
  if (exchange.method() != "GET" && exchange.method() != "HEAD") {
    co_return co_await exchange.Send(405, kText, "this door is for reading\n");
  }
  CO_ASSIGN_OR_RETURN(const Target target, ParseTarget(exchange.target()));
  if (target.path == "/metrics") {
    route_name = "/metrics";
    const std::string text = metrics_.Text();
    co_return co_await exchange.Send(200, "text/plain; version=0.0.4; charset=utf-8", text);
  }
  if (target.path == "/healthz") {
    route_name = "/healthz";
    co_return co_await exchange.Send(200, kText, "ok\n");
  }
  if (target.path != "/") co_return co_await exchange.Send(404, kText, "page not found\n");
  route_name = "/";
  const std::string page = co_await StatusPage(exchange);
  std::vector<ResponseHeader> headers;
  headers.push_back({"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"});
  headers.push_back({"X-Content-Type-Options", "nosniff"});
  co_return co_await exchange.Send(200, kHtml, page, std::move(headers));
}

Awaitable<std::string> WebApp::StatusPage(Exchange& exchange) {
  std::string page = absl::StrCat(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Slipway</title>"
      "<style>body{font-family:sans-serif;margin:2em}td,th{text-align:left;padding:.2em 1.5em "
      ".2em 0}</style></head><body>\n<h1>Slipway ",
      Escape(Version()), "</h1>\n");
  pb::ListContainersRequest list;
  list.set_all(true);
  CallOptions options;
  options.request_id = exchange.request_id();
  options.timeout = absl::Seconds(5);
  const auto listed = co_await backends_.Call(
      backends_.container(), &ContainerCalls::ListContainers, list, std::move(options));
  if (!listed.ok()) {
    absl::StrAppend(&page,
                    "<p>The container service does not answer: ", Escape(listed.status().message()),
                    "</p>\n");
  } else {
    const int64_t now = absl::ToUnixNanos(absl::Now());
    absl::StrAppend(&page, "<p>", listed->containers_size(), " containers</p>\n",
                    "<table><tr><th>Name</th><th>Image</th><th>Status</th><th>Id</th></tr>\n");
    for (const pb::Container& container : listed->containers()) page += Row(container, now);
    page += "</table>\n";
  }
  page += "<p><a href=\"/metrics\">Metrics</a></p></body></html>\n";
  co_return page;
}

}  // namespace slipway::gateway
