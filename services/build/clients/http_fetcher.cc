#include "services/build/clients/http_fetcher.h"

#include <curl/curl.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::build {
namespace {

constexpr curl_off_t kMaxBytes = curl_off_t{16} << 30;
constexpr long kStalledSeconds = 60;
constexpr long kMaxRedirects = 10;

struct Transfer {
  const std::function<absl::Status(absl::string_view)>& sink;
  const Cancellation& cancellation;
  absl::Status status;
  curl_off_t bytes = 0;
};

size_t TakeBytes(char* data, size_t, size_t size, void* self) {
  auto* transfer = static_cast<Transfer*>(self);
  transfer->bytes += static_cast<curl_off_t>(size);
  if (transfer->bytes > kMaxBytes) {
    transfer->status = absl::ResourceExhaustedError("it has more than 16 GiB");
  } else {
    transfer->status = transfer->sink(absl::string_view(data, size));
  }
  return transfer->status.ok() ? size : 0;
}

int Watch(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Transfer*>(self)->cancellation.cancelled() ? 1 : 0;
}

}  // namespace

absl::StatusOr<Fetched> HttpFetcher::Fetch(
    const std::string& url, const std::function<absl::Status(absl::string_view)>& sink) {
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl_easy_init(), curl_easy_cleanup);
  if (handle == nullptr) return absl::ResourceExhaustedError("no memory for a download");
  Transfer transfer = {sink, cancellation_};
  CURL* curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kMaxRedirects);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FILETIME, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, TakeBytes);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, Watch);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  const CURLcode code = curl_easy_perform(curl);
  RETURN_IF_ERROR(cancellation_.status());
  RETURN_IF_ERROR(transfer.status);
  if (code == CURLE_HTTP_RETURNED_ERROR) {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return absl::NotFoundError(absl::StrCat("failed to GET ", url, " with status ", status));
  }
  if (code != CURLE_OK) {
    return absl::UnavailableError(absl::StrCat("Get ", url, ": ", curl_easy_strerror(code)));
  }
  Fetched fetched;
  const char* type = nullptr;
  curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
  if (type != nullptr) fetched.content_type = type;
  curl_off_t modified = -1;
  curl_easy_getinfo(curl, CURLINFO_FILETIME_T, &modified);
  fetched.modified_unix_s = modified > 0 ? modified : 0;
  return fetched;
}

}  // namespace slipway::build
