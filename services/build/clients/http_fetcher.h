#ifndef SERVICES_BUILD_CLIENTS_HTTP_FETCHER_H_
#define SERVICES_BUILD_CLIENTS_HTTP_FETCHER_H_

#include "services/build/ports/cancellation.h"
#include "services/build/ports/fetcher.h"

namespace slipway::build {

// With libcurl, by HTTP and HTTPS, proxies of the environment and redirects followed. Files have at
// most 16 GiB, and a server that sends nothing for a minute is given up. Thread-safe.
class HttpFetcher : public Fetcher {
 public:
  // `cancellation` outlives it.
  explicit HttpFetcher(Cancellation& cancellation) : cancellation_(cancellation) {}

  absl::StatusOr<Fetched> Fetch(
      const std::string& url, const std::function<absl::Status(absl::string_view)>& sink) override;

 private:
  Cancellation& cancellation_;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_CLIENTS_HTTP_FETCHER_H_
