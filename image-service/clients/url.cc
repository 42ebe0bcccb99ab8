#include "image-service/clients/url.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace slipway::image {
namespace {

constexpr size_t kMaxUrlBytes = 8192;

// "host", "host:5000", "[::1]:5000"
bool IsAuthority(absl::string_view text) {
  const bool is_ipv6 = absl::StartsWith(text, "[");
  const size_t last = text.find(is_ipv6 ? ']' : ':');
  if (last == absl::string_view::npos) return !is_ipv6 && !text.empty();
  absl::string_view rest = text.substr(is_ipv6 ? last + 1 : last);
  if (is_ipv6 && rest.empty()) return true;
  return last > 0 && absl::ConsumePrefix(&rest, ":") && !rest.empty() && rest.size() <= 5 &&
         std::all_of(rest.begin(), rest.end(), absl::ascii_isdigit);
}

}  // namespace

absl::StatusOr<Url> Url::Parse(absl::string_view text) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("URL \"", text.substr(0, 200), "\": ", why));
  };
  if (text.size() > kMaxUrlBytes) return bad("too long");
  if (std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c == 0x7F; })) {
    return bad("has control characters or blanks");
  }
  const size_t colon = text.find("://");
  if (colon == absl::string_view::npos) return bad("has no scheme");
  Url url;
  url.scheme = absl::AsciiStrToLower(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https") return bad("is neither http nor https");
  const absl::string_view after = text.substr(colon + 3);
  const size_t end = std::min(after.find_first_of("/?#"), after.size());
  url.authority = absl::AsciiStrToLower(after.substr(0, end));
  if (absl::StrContains(url.authority, '@') || absl::StrContains(url.authority, '\\')) {
    return bad("has credentials in it");
  }
  if (!IsAuthority(url.authority)) return bad("has no host and port that can be");
  const absl::string_view default_port = url.scheme == "https" ? ":443" : ":80";
  if (absl::EndsWith(url.authority, default_port)) {
    url.authority.resize(url.authority.size() - default_port.size());
  }
  absl::string_view rest = after.substr(end);
  rest = rest.substr(0, rest.find('#'));
  url.rest = absl::StartsWith(rest, "/") ? std::string(rest) : absl::StrCat("/", rest);
  return url;
}

absl::StatusOr<Url> Url::Resolve(absl::string_view location) const {
  if (absl::StrContains(location.substr(0, location.find_first_of("/?#")), ':')) {
    return Parse(location);
  }
  if (absl::StartsWith(location, "//")) return Parse(absl::StrCat(scheme, ":", location));
  if (absl::StartsWith(location, "/")) {
    return Parse(absl::StrCat(scheme, "://", authority, location));
  }
  const std::string path = rest.substr(0, rest.find('?'));
  return Parse(
      absl::StrCat(scheme, "://", authority, path.substr(0, path.rfind('/') + 1), location));
}

bool IsLoopback(absl::string_view authority) {
  absl::string_view host = authority;
  if (absl::ConsumePrefix(&host, "[")) {
    host = host.substr(0, host.find(']'));
    return host == "::1";
  }
  host = host.substr(0, host.find(':'));
  if (absl::EqualsIgnoreCase(host, "localhost")) return true;
  in_addr address;
  if (inet_pton(AF_INET, std::string(host).c_str(), &address) != 1) return false;
  return (ntohl(address.s_addr) >> 24) == 127;
}

std::string QueryEscape(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                       absl::StrContains("-._~:/,", absl::string_view(&c, 1));
    if (plain) {
      escaped.push_back(c);
    } else {
      absl::StrAppendFormat(&escaped, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return escaped;
}

}  // namespace slipway::image
