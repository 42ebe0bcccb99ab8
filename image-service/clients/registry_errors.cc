#include <boost/json/value.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status/status_macros.h"
#include "image-service/clients/registry_repository.h"
#include "image-service/oci/bounded_json.h"

namespace slipway::image {
namespace {

// What a registry says goes to terminals: one line, printable, short.
std::string Printable(absl::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 300)) result.push_back(c >= ' ' && c != 0x7F ? c : ' ');
  return result;
}

}  // namespace

std::string RegistryErrorText(const std::string& body, std::string* code) {
  std::string message;
  const absl::Status parsed =
      BoundedJson::Parse(body, "error", [&](const boost::json::value& document) -> absl::Status {
        if (!document.is_object()) return absl::InvalidArgumentError("not an object");
        ASSIGN_OR_RETURN(const boost::json::array* errors,
                         FindArray(document.get_object(), "errors"));
        if (errors == nullptr || errors->empty() || !(*errors)[0].is_object()) {
          return absl::InvalidArgumentError("no errors");
        }
        const JsonObject& first = (*errors)[0].get_object();
        RETURN_IF_ERROR(ReadString(first, "code", code));
        return ReadString(first, "message", &message);
      });
  if (!parsed.ok() || code->empty()) return "";
  *code = Printable(*code);
  const std::string words = absl::AsciiStrToLower(absl::StrReplaceAll(*code, {{"_", " "}}));
  return absl::StrCat(words, ": ", message.empty() ? words : Printable(message));
}

std::string HttpRegistryRepository::Denied() const {
  // dockerd says of a push only what the registry said.
  if (access_ == RegistryAccess::kPush) return "";
  return absl::StrCat("pull access denied for ", reference_.FamiliarName(),
                      ", repository does not exist or may require 'docker login': ");
}

absl::Status HttpRegistryRepository::ErrorOf(const HttpResponse& response,
                                             const ImageReference& reference) const {
  std::string code;
  std::string text = RegistryErrorText(response.body, &code);
  const std::string denied = Denied();
  switch (response.status) {
    case 401:
      if (text.empty()) text = "unauthorized: authentication required";
      return absl::UnauthenticatedError(absl::StrCat(denied, text));
    case 403:
      if (text.empty()) text = "denied: requested access to the resource is denied";
      return absl::PermissionDeniedError(absl::StrCat(denied, text));
    case 404:
      if (code == "NAME_UNKNOWN") {
        return absl::NotFoundError(
            absl::StrCat("repository ", reference_.FamiliarName(), " not found: ", text));
      }
      if (text.empty()) text = "manifest unknown: manifest unknown";
      return absl::NotFoundError(
          absl::StrCat("manifest for ", reference.FamiliarString(), " not found: ", text));
    case 429:
      if (text.empty()) text = "toomanyrequests: too many requests to the registry";
      return absl::UnavailableError(text);
    default:
      break;
  }
  if (text.empty()) text = absl::StrCat("unexpected HTTP status ", response.status);
  const std::string what =
      access_ == RegistryAccess::kPush ? "failed to push \"" : "failed to resolve reference \"";
  const std::string message =
      absl::StrCat(what, reference.FullString(), "\": ", response.url.authority, " answered ",
                   response.status, ": ", text);
  if (response.status >= 500) return absl::UnavailableError(message);
  return absl::FailedPreconditionError(message);
}

}  // namespace slipway::image
