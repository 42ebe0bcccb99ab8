#include "services/log/outlets/http_push.h"

#include <curl/curl.h>

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/text/utf8.h"
#include "services/log/outlets/attributes.h"
#include "services/log/outlets/connection.h"

namespace slipway::log {
namespace {

namespace json = boost::json;

constexpr size_t kMostErrorBytes = 256;

// Loki's label names have letters, digits and underscores.
std::string LabelName(absl::string_view text) {
  std::string name;
  for (const char c : text) name += absl::ascii_isalnum(static_cast<unsigned char>(c)) ? c : '_';
  if (name.empty() || absl::ascii_isdigit(static_cast<unsigned char>(name[0]))) name = "_" + name;
  return name;
}

std::string LokiBody(const HttpPushOptions& options, const std::vector<OutletLine>& lines) {
  std::array<json::array, kStreams> values;
  for (const OutletLine& line : lines) {
    values[StreamIndex(line.stream)].push_back(
        json::array{absl::StrCat(line.time_unix_ns), ValidUtf8(line.text)});
  }
  json::array streams;
  for (size_t stream = 0; stream < kStreams; ++stream) {
    if (values[stream].empty()) continue;
    json::object labels;
    for (const auto& [key, value] : options.fields) labels[LabelName(key)] = ValidUtf8(value);
    labels["source"] = stream == 0 ? "stdout" : "stderr";
    streams.push_back(
        json::object{{"stream", std::move(labels)}, {"values", std::move(values[stream])}});
  }
  return json::serialize(json::object{{"streams", std::move(streams)}});
}

json::object Attribute(absl::string_view key, absl::string_view value) {
  return {{"key", ValidUtf8(key)}, {"value", json::object{{"stringValue", ValidUtf8(value)}}}};
}

// opentelemetry-proto's ExportLogsServiceRequest; names as in the semantic conventions.
std::string OtlpBody(const HttpPushOptions& options, const std::vector<OutletLine>& lines) {
  json::array resource;
  for (const auto& [key, value] : options.fields) resource.push_back(Attribute(key, value));
  json::array records;
  for (const OutletLine& line : lines) {
    const bool is_error = line.stream == StdStream::kStderr;
    records.push_back(json::object{
        {"timeUnixNano", absl::StrCat(line.time_unix_ns)},
        {"severityNumber", is_error ? 17 : 9},
        {"body", json::object{{"stringValue", ValidUtf8(line.text)}}},
        {"attributes", json::array{Attribute("log.iostream", is_error ? "stderr" : "stdout")}}});
  }
  json::object scope{{"scope", json::object{{"name", "slipway"}}},
                     {"logRecords", std::move(records)}};
  json::object of{{"resource", json::object{{"attributes", std::move(resource)}}},
                  {"scopeLogs", json::array{std::move(scope)}}};
  return json::serialize(json::object{{"resourceLogs", json::array{std::move(of)}}});
}

size_t KeepSome(char* bytes, size_t, size_t size, void* to) {
  auto* kept = static_cast<std::string*>(to);
  kept->append(bytes, std::min(size, kMostErrorBytes - std::min(kMostErrorBytes, kept->size())));
  return size;
}

}  // namespace

struct HttpPush::Handle {
  CURL* curl = curl_easy_init();
  curl_slist* headers = nullptr;
  std::string answer;
  ~Handle() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
  }
};

HttpPushOptions ParseHttpPushOptions(const ContainerId& id, const LogDescription& description) {
  HttpPushOptions options{.fields = Attributes(description)};
  const bool loki = description.driver == "loki";
  options.protocol = loki ? HttpPushOptions::Protocol::kLoki : HttpPushOptions::Protocol::kOtlp;
  options.url = Option(description, loki ? "loki-url" : "otlp-endpoint");
  options.tenant = Option(description, "loki-tenant-id");
  const size_t host = options.url.find("://");
  const size_t path = host == std::string::npos ? host : options.url.find('/', host + 3);
  if (path == std::string::npos || path + 1 == options.url.size()) {
    options.url =
        absl::StrCat(absl::StripSuffix(options.url, "/"), loki ? "/loki/api/v1/push" : "/v1/logs");
  }
  options.fields[loki ? "container_name" : "container.name"] = description.name;
  options.fields[loki ? "image" : "container.image.name"] = description.image;
  options.fields[loki ? "host" : "host.name"] = description.hostname;
  options.fields[loki ? "container_id" : "container.id"] = id.value();
  return options;
}

HttpPush::HttpPush(HttpPushOptions options)
    : options_(std::move(options)), handle_(std::make_unique<Handle>()) {
  CURL* const curl = handle_->curl;
  curl_easy_setopt(curl, CURLOPT_URL, options_.url.c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(2 * Connection::kPatienceMs));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(Connection::kPatienceMs));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &KeepSome);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &handle_->answer);
  handle_->headers = curl_slist_append(nullptr, "Content-Type: application/json");
  handle_->headers = curl_slist_append(handle_->headers, "Expect:");
  if (!options_.tenant.empty()) {
    handle_->headers = curl_slist_append(handle_->headers,
                                         absl::StrCat("X-Scope-OrgID: ", options_.tenant).c_str());
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, handle_->headers);
}

HttpPush::~HttpPush() = default;

std::string HttpPushBody(const HttpPushOptions& options, const std::vector<OutletLine>& lines) {
  return options.protocol == HttpPushOptions::Protocol::kLoki ? LokiBody(options, lines)
                                                              : OtlpBody(options, lines);
}

absl::Status HttpPush::Send(const std::vector<OutletLine>& lines) {
  const std::string body = HttpPushBody(options_, lines);
  CURL* const curl = handle_->curl;
  handle_->answer.clear();
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) {
    return absl::UnavailableError(absl::StrCat(options_.url, ": ", curl_easy_strerror(code)));
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status / 100 == 2) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(options_.url, " answers ", status, ": ", handle_->answer));
}

}  // namespace slipway::log
