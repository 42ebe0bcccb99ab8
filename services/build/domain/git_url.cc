#include "services/build/domain/git_url.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace slipway::build {
namespace {

constexpr size_t kMaxRefBytes = 1024;

bool IsHttp(absl::string_view text) {
  return absl::StartsWithIgnoreCase(text, "http://") ||
         absl::StartsWithIgnoreCase(text, "https://");
}

// git-check-ref-format(1), less what only matters for new ones.
bool IsRef(absl::string_view ref) {
  return ref.size() <= kMaxRefBytes && !absl::StartsWith(ref, "-") &&
         !absl::StrContains(ref, "..") && std::none_of(ref.begin(), ref.end(), [](char c) {
           return absl::ascii_iscntrl(static_cast<unsigned char>(c)) ||
                  absl::StrContains(" ~^:?*[\\", c);
         });
}

}  // namespace

bool IsGitUrl(absl::string_view text) {
  for (const absl::string_view prefix : {"git://", "git@", "ssh://", "github.com/"}) {
    if (absl::StartsWith(text, prefix)) return true;
  }
  if (!IsHttp(text)) return false;
  // A query would belong to the path as git sees it.
  return absl::EndsWith(text.substr(0, text.find('#')), ".git");
}

absl::StatusOr<GitReference> ParseGitUrl(absl::string_view text) {
  if (absl::StartsWith(text, "git@") || absl::StartsWith(text, "ssh://")) {
    return absl::UnimplementedError(absl::StrCat("the git repository ", WithoutCredentials(text),
                                                 " is reached over SSH, which is not supported: "
                                                 "use its address with https://"));
  }
  GitReference reference;
  const size_t hash = text.find('#');
  reference.url = std::string(text.substr(0, hash));
  if (absl::StartsWith(reference.url, "github.com/")) {
    reference.url = absl::StrCat("https://", reference.url);
  }
  if (hash == absl::string_view::npos) return reference;
  const std::vector<std::string> parts =
      absl::StrSplit(text.substr(hash + 1), absl::MaxSplits(':', 1));
  reference.ref = parts[0];
  if (!IsRef(reference.ref)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "invalid reference \"", absl::CEscape(reference.ref), "\" of a git repository"));
  }
  if (parts.size() == 1) return reference;
  std::vector<absl::string_view> kept;
  for (const absl::string_view part : absl::StrSplit(parts[1], '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part == "..") {
      return absl::InvalidArgumentError(
          absl::StrCat("the directory \"", parts[1], "\" leads out of the git repository"));
    }
    kept.push_back(part);
  }
  reference.directory = absl::StrJoin(kept, "/");
  return reference;
}

std::string WithoutCredentials(absl::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == absl::string_view::npos) return std::string(url);
  const size_t host = scheme + 3;
  const size_t end = std::min(url.find('/', host), url.size());
  const size_t at = url.substr(0, end).rfind('@');
  if (at == absl::string_view::npos || at < host) return std::string(url);
  return absl::StrCat(url.substr(0, host), url.substr(at + 1));
}

}  // namespace slipway::build
