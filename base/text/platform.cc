#include "base/text/platform.h"

#include "absl/strings/str_cat.h"

namespace slipway {
namespace {

bool Fits(absl::string_view actual, absl::string_view wanted) {
  return actual.empty() || wanted.empty() || actual == wanted;
}

}  // namespace

std::string Format(const PlatformName& platform) {
  std::string text = absl::StrCat(platform.os, "/", platform.architecture);
  if (!platform.variant.empty()) absl::StrAppend(&text, "/", platform.variant);
  return text;
}

bool Serves(const PlatformName& actual, const PlatformName& wanted) {
  if (!Fits(actual.os, wanted.os) || !Fits(actual.architecture, wanted.architecture)) return false;
  if (Fits(actual.variant, wanted.variant)) return true;
  // "v6" < "v7"
  return wanted.architecture == "arm" && actual.variant < wanted.variant;
}

}  // namespace slipway
