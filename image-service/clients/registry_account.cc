#include <boost/json/value.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "image-service/clients/registry_client.h"
#include "image-service/clients/registry_repository.h"
#include "image-service/oci/bounded_json.h"

// What is asked of a registry as a whole: whether it takes a login, and what it has.
namespace slipway::image {
namespace {

constexpr int64_t kMaxAnswerBytes = 4 << 20;
constexpr char kHub[] = "docker.io";
constexpr char kHubSearch[] = "https://index.docker.io/v1/search";
constexpr int kCatalogPage = 1000;

absl::Status ReadHubResults(const std::string& body, std::vector<FoundRepository>& found) {
  return BoundedJson::Parse(
      body, "search results", [&](const boost::json::value& document) -> absl::Status {
        if (!document.is_object()) return absl::InvalidArgumentError("not an object");
        ASSIGN_OR_RETURN(const boost::json::array* results,
                         FindArray(document.get_object(), "results"));
        if (results == nullptr) return absl::OkStatus();
        for (const boost::json::value& item : *results) {
          if (!item.is_object()) return absl::InvalidArgumentError("a result is not an object");
          const JsonObject& object = item.get_object();
          FoundRepository one;
          RETURN_IF_ERROR(ReadString(object, "name", &one.name));
          RETURN_IF_ERROR(ReadString(object, "description", &one.description));
          RETURN_IF_ERROR(ReadInt(object, "star_count", &one.star_count));
          RETURN_IF_ERROR(ReadBool(object, "is_official", &one.is_official));
          RETURN_IF_ERROR(ReadBool(object, "is_automated", &one.is_automated));
          found.push_back(std::move(one));
        }
        return absl::OkStatus();
      });
}

absl::Status ReadCatalog(const std::string& body, std::vector<std::string>& names) {
  return BoundedJson::Parse(body, "catalog",
                            [&](const boost::json::value& document) -> absl::Status {
                              if (!document.is_object())
                                return absl::InvalidArgumentError("not an object");
                              return ReadStrings(document.get_object(), "repositories", &names);
                            });
}

}  // namespace

absl::StatusOr<HttpResponse> RegistryClient::GetWithLogin(const Url& url,
                                                          const RegistryCredentials& credentials,
                                                          int64_t body_limit_bytes,
                                                          const std::string& scope,
                                                          const Cancellation& cancel) {
  HttpRequest request;
  request.url = url;
  request.body_limit_bytes = body_limit_bytes;
  ASSIGN_OR_RETURN(HttpResponse response, http_.Send(request, cancel));
  if (response.status != 401 || !response.url.SameOrigin(url)) return response;
  absl::Status failure;
  for (const AuthChallenge& challenge : ParseAuthChallenges(response.Header("www-authenticate"))) {
    if (challenge.scheme != "bearer" && challenge.scheme != "basic") continue;
    // A login is a question about these very credentials: nothing remembered answers it.
    auto answer =
        tokens_.Answer(challenge, response.url, scope, credentials, /*fresh=*/true, cancel);
    if (answer.ok()) {
      request.authorization = *std::move(answer);
      return http_.Send(request, cancel);
    }
    failure = answer.status();
  }
  if (failure.ok()) return response;
  return failure;
}

absl::StatusOr<std::string> RegistryClient::Login(const std::string& domain,
                                                  const RegistryCredentials& credentials,
                                                  const Cancellation& cancel) {
  ASSIGN_OR_RETURN(Url url, BaseUrl(domain, cancel));
  url.rest = "/v2/";
  ASSIGN_OR_RETURN(const HttpResponse response,
                   GetWithLogin(url, credentials, kMaxAnswerBytes, "", cancel));
  if (response.status == 200) return credentials.identity_token;
  const std::string message =
      absl::StrCat("login attempt to ", url.ToString(), " failed with status: ", response.status,
                   response.status == 401 ? " Unauthorized" : "");
  if (response.status == 401 || response.status == 403) {
    return absl::UnauthenticatedError(message);
  }
  return absl::UnavailableError(message);
}

absl::StatusOr<std::vector<FoundRepository>> RegistryClient::Search(
    const std::string& domain, const std::string& term, size_t limit,
    const RegistryCredentials& credentials, const Cancellation& cancel) {
  std::vector<FoundRepository> found;
  if (domain == kHub) {
    ASSIGN_OR_RETURN(const Url url,
                     Url::Parse(absl::StrCat(kHubSearch, "?q=", QueryEscape(term), "&n=", limit)));
    ASSIGN_OR_RETURN(const HttpResponse response,
                     GetWithLogin(url, credentials, kMaxAnswerBytes, "", cancel));
    if (response.status != 200) {
      return absl::UnavailableError(absl::StrCat("Unexpected status code ", response.status));
    }
    RETURN_IF_ERROR(ReadHubResults(response.body, found));
  } else {
    ASSIGN_OR_RETURN(Url url, BaseUrl(domain, cancel));
    url.rest = absl::StrCat("/v2/_catalog?n=", kCatalogPage);
    ASSIGN_OR_RETURN(const HttpResponse response,
                     GetWithLogin(url, credentials, kMaxAnswerBytes, "registry:catalog:*", cancel));
    if (response.status != 200) {
      return absl::UnavailableError(absl::StrCat("registry ", domain, " answered ", response.status,
                                                 " when asked for its catalog"));
    }
    std::vector<std::string> names;
    RETURN_IF_ERROR(ReadCatalog(response.body, names));
    for (const std::string& name : names) {
      if (!absl::StrContains(name, absl::AsciiStrToLower(term))) continue;
      found.push_back({.name = absl::StrCat(domain, "/", name)});
    }
  }
  if (found.size() > limit) found.resize(limit);
  return found;
}

}  // namespace slipway::image
