#include "image-service/clients/token_source.h"

#include <algorithm>
#include <boost/json/value.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"
#include "image-service/domain/digest.h"
#include "image-service/oci/bounded_json.h"

namespace slipway::image {
namespace {

constexpr int64_t kMaxTokenAnswerBytes = 256 << 10;
constexpr size_t kMaxTokens = 1024;
constexpr int64_t kDefaultLifetimeS = 60;  // as the specification says

std::string Parameter(const AuthChallenge& challenge, const char* name) {
  const auto found = challenge.parameters.find(name);
  return found == challenge.parameters.end() ? "" : found->second;
}

struct TokenAnswer {
  std::string token;
  int64_t lifetime_s = kDefaultLifetimeS;
};

absl::StatusOr<TokenAnswer> ParseAnswer(absl::string_view body) {
  TokenAnswer answer;
  RETURN_IF_ERROR(BoundedJson::Parse(
      body, "token answer", [&](const boost::json::value& document) -> absl::Status {
        if (!document.is_object()) return absl::InvalidArgumentError("not an object");
        const JsonObject& object = document.get_object();
        RETURN_IF_ERROR(ReadString(object, "token", &answer.token));
        if (answer.token.empty())
          RETURN_IF_ERROR(ReadString(object, "access_token", &answer.token));
        int64_t lifetime_s = 0;
        RETURN_IF_ERROR(ReadInt(object, "expires_in", &lifetime_s));
        if (lifetime_s > 0) answer.lifetime_s = std::min<int64_t>(lifetime_s, 86400);
        return absl::OkStatus();
      }));
  const bool printable = std::all_of(answer.token.begin(), answer.token.end(),
                                     [](char c) { return c > ' ' && c < 0x7F; });
  if (answer.token.empty() || !printable) {
    return absl::UnauthenticatedError("authorization server did not include a token");
  }
  return answer;
}

}  // namespace

std::string BasicAuthorization(const RegistryCredentials& credentials) {
  return absl::StrCat(
      "Basic ", absl::Base64Escape(absl::StrCat(credentials.username, ":", credentials.password)));
}

absl::StatusOr<std::string> TokenSource::Answer(const AuthChallenge& challenge, const Url& registry,
                                                const std::string& default_scope,
                                                const RegistryCredentials& credentials, bool fresh,
                                                const Cancellation& cancel) {
  if (challenge.scheme == "basic") {
    if (credentials.username.empty()) {
      return absl::UnauthenticatedError("unauthorized: authentication required");
    }
    return BasicAuthorization(credentials);
  }
  std::string scope = Parameter(challenge, "scope");
  if (scope.empty()) scope = default_scope;
  // Hashed, so that no password is kept longer than its request.
  const std::string key =
      Digest::OfBytes(absl::StrCat(Parameter(challenge, "realm"), "\n",
                                   Parameter(challenge, "service"), "\n", scope, "\n",
                                   credentials.username, "\n", credentials.password, "\n",
                                   credentials.identity_token))
          .hex();
  if (!fresh) {
    absl::MutexLock lock(&mu_);
    const auto found = tokens_.find(key);
    if (found != tokens_.end() && absl::Now() < found->second.until) {
      return absl::StrCat("Bearer ", found->second.value);
    }
  }
  return Fetch(challenge, registry, scope, credentials, key, cancel);
}

absl::StatusOr<std::string> TokenSource::Fetch(const AuthChallenge& challenge, const Url& registry,
                                               const std::string& scope,
                                               const RegistryCredentials& credentials,
                                               const std::string& key, const Cancellation& cancel) {
  HttpRequest request;
  const std::string realm = Parameter(challenge, "realm");
  ASSIGN_OR_RETURN(request.url, Url::Parse(realm));
  const std::string service = Parameter(challenge, "service");
  const bool has_secret = !credentials.username.empty() || !credentials.identity_token.empty();
  if (has_secret && request.url.scheme == "http" && !IsLoopback(request.url.authority) &&
      !request.url.SameOrigin(registry)) {
    return absl::UnauthenticatedError(
        absl::StrCat("refused to send credentials over plain HTTP to ", request.url.authority));
  }
  if (!credentials.identity_token.empty()) {
    request.form = absl::StrCat(
        "grant_type=refresh_token&client_id=slipway&service=", QueryEscape(service),
        "&scope=", QueryEscape(scope), "&refresh_token=", QueryEscape(credentials.identity_token));
  } else {
    const char* separator = request.url.rest.find('?') == std::string::npos ? "?" : "&";
    absl::StrAppend(&request.url.rest, separator, "service=", QueryEscape(service));
    for (const absl::string_view one : absl::StrSplit(scope, ' ', absl::SkipEmpty())) {
      absl::StrAppend(&request.url.rest, "&scope=", QueryEscape(one));
    }
    if (!credentials.username.empty()) {
      absl::StrAppend(&request.url.rest, "&account=", QueryEscape(credentials.username));
      request.authorization = BasicAuthorization(credentials);
    }
  }
  request.headers = {"Accept: application/json"};
  request.body_limit_bytes = kMaxTokenAnswerBytes;
  ASSIGN_OR_RETURN(const HttpResponse response, http_.Send(request, cancel));
  if (response.status == 401 || response.status == 403) {
    return absl::UnauthenticatedError(has_secret ? "unauthorized: incorrect username or password"
                                                 : "unauthorized: authentication required");
  }
  if (response.status != 200) {
    return absl::UnavailableError(absl::StrCat("authorization server ", request.url.authority,
                                               " answered ", response.status));
  }
  ASSIGN_OR_RETURN(TokenAnswer answer, ParseAnswer(response.body));
  // A token that ends while it is on its way is of no use.
  const int64_t keep_s = answer.lifetime_s - std::min<int64_t>(10, answer.lifetime_s / 2);
  absl::MutexLock lock(&mu_);
  if (tokens_.size() >= kMaxTokens) tokens_.clear();
  tokens_[key] = {answer.token, absl::Now() + absl::Seconds(keep_s)};
  return absl::StrCat("Bearer ", answer.token);
}

}  // namespace slipway::image
