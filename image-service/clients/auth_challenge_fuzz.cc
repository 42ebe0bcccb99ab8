// WWW-Authenticate headers from strangers: none may crash or hang, and what comes out is bounded.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "image-service/clients/auth_challenge.h"
#include "image-service/clients/url.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size_bytes);
  const auto challenges = slipway::image::ParseAuthChallenges(text);
  if (challenges.size() > 8) abort();
  for (const slipway::image::AuthChallenge& challenge : challenges) {
    if (challenge.scheme.empty() || challenge.parameters.size() > 16) abort();
  }
  const auto url = slipway::image::Url::Parse(text);
  if (!url.ok()) return 0;
  const auto again = slipway::image::Url::Parse(url->ToString());
  if (!again.ok() || !again->SameOrigin(*url) || again->rest != url->rest) abort();
  return 0;
}
