#include "gateway/docker/registry_auth.h"

#include <boost/json/parse.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "gateway/docker/json_fields.h"

namespace slipway::gateway {

namespace json = boost::json;

absl::StatusOr<slipway::image::v1::RegistryAuth> ParseRegistryAuth(absl::string_view header) {
  slipway::image::v1::RegistryAuth auth;
  if (header.empty()) return auth;
  std::string text;
  if (!absl::WebSafeBase64Unescape(header, &text) && !absl::Base64Unescape(header, &text)) {
    return absl::InvalidArgumentError("invalid X-Registry-Auth header: not base64");
  }
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !(value.is_object() || value.is_null())) {
    return absl::InvalidArgumentError("invalid X-Registry-Auth header: not a JSON object");
  }
  if (value.is_null()) return auth;
  JsonFields fields(value.get_object(), "X-Registry-Auth");
  auth.set_username(fields.String("username"));
  auth.set_password(fields.String("password"));
  auth.set_identity_token(fields.String("identitytoken"));
  auth.set_registry_token(fields.String("registrytoken"));
  auth.set_server_address(fields.String("serveraddress"));
  const std::string both = fields.String("auth");
  if (auth.username().empty() && !both.empty() && absl::Base64Unescape(both, &text)) {
    const size_t colon = text.find(':');
    if (colon != std::string::npos) {
      auth.set_username(text.substr(0, colon));
      auth.set_password(text.substr(colon + 1));
    }
  }
  if (!fields.status().ok()) return fields.status();
  return auth;
}

}  // namespace slipway::gateway
