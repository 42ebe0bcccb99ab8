#include "runtime-agent/domain/environment.h"

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace slipway::agent {
namespace {

constexpr char kDefaultPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

absl::string_view NameOf(absl::string_view entry) { return entry.substr(0, entry.find('=')); }

std::vector<std::string> Merge(std::vector<std::string> defaults,
                               const std::vector<std::string>& env) {
  std::vector<std::string> merged;
  absl::flat_hash_map<std::string, size_t> places;
  const auto put = [&](const std::string& entry) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) return;
    const auto [place, added] = places.emplace(std::string(NameOf(entry)), merged.size());
    if (added) {
      merged.push_back(entry);
    } else {
      merged[place->second] = entry;
    }
  };
  for (const std::string& entry : defaults) put(entry);
  for (const std::string& entry : env) put(entry);
  return merged;
}

}  // namespace

std::vector<std::string> ContainerEnvironment(const std::vector<std::string>& env,
                                              absl::string_view hostname, bool tty) {
  std::vector<std::string> defaults = {kDefaultPath, absl::StrCat("HOSTNAME=", hostname)};
  if (tty) defaults.push_back("TERM=xterm");
  return Merge(std::move(defaults), env);
}

std::vector<std::string> ExecEnvironment(const std::vector<std::string>& env, bool tty) {
  std::vector<std::string> defaults = {kDefaultPath};
  if (tty) defaults.push_back("TERM=xterm");
  return Merge(std::move(defaults), env);
}

std::vector<std::string> WithDefaults(const std::vector<std::string>& env,
                                      const std::vector<std::string>& defaults) {
  return defaults.empty() ? env : Merge(defaults, env);
}

void AddHome(absl::string_view home, std::vector<std::string>& env) {
  for (const std::string& entry : env) {
    if (NameOf(entry) == "HOME") return;
  }
  env.push_back(absl::StrCat("HOME=", home));
}

}  // namespace slipway::agent
