#ifndef IMAGE_SERVICE_CLIENTS_URL_H_
#define IMAGE_SERVICE_CLIENTS_URL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipway::image {

// The parts of an http or https URL that decide who is talked to. A value.
struct Url {
  std::string scheme;     // lower case
  std::string authority;  // host[:port], lower case, without credentials
  std::string rest;       // from the path on; "/" at least

  // Refuses other schemes, credentials in the URL and control characters.
  static absl::StatusOr<Url> Parse(absl::string_view text);
  // RFC 3986, 5.2, for what registries send as Location: absolute URLs, "//host/…", "/path" and
  // relative paths.
  absl::StatusOr<Url> Resolve(absl::string_view location) const;

  std::string ToString() const { return scheme + "://" + authority + rest; }
  // Same scheme, host and port: credentials may follow.
  bool SameOrigin(const Url& other) const {
    return scheme == other.scheme && authority == other.authority;
  }
};

// localhost, 127.0.0.0/8 or ::1, with or without a port.
bool IsLoopback(absl::string_view authority);

// Percent-encoding of a query value.
std::string QueryEscape(absl::string_view text);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_CLIENTS_URL_H_
