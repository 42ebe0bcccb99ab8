#include "services/container/domain/container_name.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/text/utf8.h"

namespace slipway::container {
namespace {

constexpr const char* kAdjectives[] = {
    "agile",    "amber",    "balanced", "bold",    "breezy", "bright",  "brisk",     "calm",
    "candid",   "cheery",   "civil",    "clear",   "clever", "cobalt",  "cosy",      "crisp",
    "curious",  "daring",   "dapper",   "deft",    "eager",  "earnest", "easygoing", "fair",
    "faithful", "fearless", "fleet",    "fluent",  "frank",  "fresh",   "gentle",    "gilded",
    "glad",     "golden",   "graceful", "hardy",   "hearty", "honest",  "humble",    "ivory",
    "jaunty",   "jolly",    "keen",     "kindly",  "lively", "lucid",   "mellow",    "merry",
    "mild",     "nimble",   "noble",    "patient", "placid", "plucky",  "polite",    "proud",
    "quick",    "quiet",    "ready",    "robust",  "rustic", "sane",    "serene",    "sharp",
    "silver",   "sincere",  "snug",     "solid",   "spry",   "stable",  "steady",    "sturdy",
    "sunny",    "swift",    "tender",   "tidy",    "trusty", "upbeat",  "valiant",   "velvet",
    "vivid",    "warm",     "watchful", "wise",    "witty",  "zesty"};

constexpr const char* kNouns[] = {
    "anchor",    "barge",    "barque",  "beacon",    "binnacle",   "boom",      "bosun",
    "bow",       "bowsprit", "breeze",  "brig",      "brigantine", "buoy",      "canal",
    "canoe",     "capstan",  "caravel", "catamaran", "clipper",    "coaster",   "compass",
    "coracle",   "corsair",  "cove",    "crane",     "cutter",     "davit",     "dhow",
    "dinghy",    "dock",     "dory",    "estuary",   "fender",     "ferry",     "fjord",
    "freighter", "frigate",  "galleon", "galley",    "gannet",     "gondola",   "harbour",
    "hatch",     "helm",     "hull",    "islet",     "jetty",      "jib",       "kayak",
    "keel",      "ketch",    "lagoon",  "lantern",   "lighter",    "lugger",    "mainsail",
    "mariner",   "mast",     "mizzen",  "moor",      "oar",        "packet",    "pier",
    "pilot",     "pinnace",  "pontoon", "porthole",  "puffin",     "quay",      "rigging",
    "rudder",    "schooner", "sextant", "skiff",     "sloop",      "spinnaker", "starboard",
    "stern",     "tern",     "tide",    "tiller",    "trawler",    "tugboat",   "voyage",
    "wharf",     "windlass", "yawl"};

constexpr size_t kMaximumNameBytes = 255;
constexpr size_t kMaximumShownBytes = 300;

// For an error: UTF-8 as it is, escapes for what cannot be shown.
std::string Shown(absl::string_view text) {
  std::string shown;
  while (!text.empty() && shown.size() < kMaximumShownBytes) {
    const size_t bytes = std::max<size_t>(1, Utf8CharacterBytes(text));
    const absl::string_view character = text.substr(0, bytes);
    absl::StrAppend(&shown, bytes > 1 ? std::string(character) : absl::CHexEscape(character));
    text.remove_prefix(bytes);
  }
  return shown;
}

uint32_t RandomBelow(uint32_t limit) {
  uint32_t value = 0;
  if (getrandom(&value, sizeof(value), 0) != sizeof(value)) std::abort();
  return value % limit;
}

}  // namespace

absl::StatusOr<std::string> ParseContainerName(absl::string_view name) {
  const absl::string_view bare = absl::StripPrefix(name, "/");
  const bool good = bare.size() >= 2 && absl::ascii_isalnum(bare[0]) &&
                    std::all_of(bare.begin(), bare.end(), [](char c) {
                      return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' ||
                             c == '.' || c == '-';
                    });
  if (!good) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Invalid container name (", Shown(name), "), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"));
  }
  if (bare.size() > kMaximumNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("Invalid container name (", Shown(name),
                                                   "), only ", kMaximumNameBytes,
                                                   " characters are allowed"));
  }
  return std::string(bare);
}

std::string MakeUpName(int attempt) {
  std::string name = absl::StrCat(kAdjectives[RandomBelow(std::size(kAdjectives))], "_",
                                  kNouns[RandomBelow(std::size(kNouns))]);
  if (attempt > 0) absl::StrAppend(&name, attempt < 6 ? RandomBelow(10) : RandomBelow(1000000));
  return name;
}

std::string NewId() {
  while (true) {
    std::array<char, 32> bytes;
    // A kernel without a random source is nothing that this could go on with.
    if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
      std::abort();
    std::string id = absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
    if (id.find_first_of("abcdef") < 12) return id;
  }
}

}  // namespace slipway::container
