#include "services/build/clients/git_modules.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace slipway::build {
namespace {

constexpr size_t kMaxModules = 256;

// A value without its quotes and what a comment says behind it.
std::string Value(absl::string_view text) {
  std::string out;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      quoted = !quoted;
    } else if (c == '\\' && i + 1 < text.size()) {
      out.push_back(text[++i]);
    } else if (!quoted && (c == '#' || c == ';')) {
      break;
    } else {
      out.push_back(c);
    }
  }
  return std::string(absl::StripAsciiWhitespace(out));
}

}  // namespace

std::map<std::string, std::string> ParseGitModules(absl::string_view text) {
  std::map<std::string, std::string> urls;
  std::string path;
  std::string url;
  bool inside = false;
  const auto finish = [&] {
    if (!path.empty() && !url.empty() && urls.size() < kMaxModules) urls.emplace(path, url);
    path.clear();
    url.clear();
  };
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (absl::StartsWith(line, "[")) {
      finish();
      inside = absl::StartsWithIgnoreCase(line, "[submodule");
      continue;
    }
    const size_t equals = line.find('=');
    if (!inside || equals == absl::string_view::npos) continue;
    const std::string name =
        absl::AsciiStrToLower(absl::StripAsciiWhitespace(line.substr(0, equals)));
    const std::string value = Value(line.substr(equals + 1));
    if (name == "path") path = std::string(absl::StripSuffix(value, "/"));
    if (name == "url") url = value;
  }
  finish();
  return urls;
}

absl::StatusOr<std::string> ResolveModuleUrl(absl::string_view base, absl::string_view url) {
  for (const absl::string_view scheme : {"http://", "https://", "git://"}) {
    if (absl::StartsWith(url, scheme)) return std::string(url);
  }
  const absl::Status refused = absl::InvalidArgumentError(
      absl::StrCat("a submodule's address is neither http, https nor git: ", url));
  if (!absl::StartsWith(url, "./") && !absl::StartsWith(url, "../")) return refused;
  base = absl::StripSuffix(base, "/");
  const size_t host = base.find("://");
  if (host == absl::string_view::npos) return refused;
  while (true) {
    if (absl::ConsumePrefix(&url, "./")) continue;
    if (!absl::ConsumePrefix(&url, "../")) break;
    const size_t slash = base.rfind('/');
    if (slash <= host + 2) return refused;
    base = base.substr(0, slash);
  }
  return absl::StrCat(base, "/", url);
}

}  // namespace slipway::build
