#ifndef IMAGE_SERVICE_CLIENTS_AUTH_CHALLENGE_H_
#define IMAGE_SERVICE_CLIENTS_AUTH_CHALLENGE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace slipway::image {

// One challenge of a WWW-Authenticate header (RFC 9110, 11.6.1).
struct AuthChallenge {
  std::string scheme;                             // lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  // names in lower case
};

// All challenges of one header's value; what cannot be parsed ends the list. Bounded: at most 8
// challenges of 16 parameters.
std::vector<AuthChallenge> ParseAuthChallenges(absl::string_view header);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_CLIENTS_AUTH_CHALLENGE_H_
