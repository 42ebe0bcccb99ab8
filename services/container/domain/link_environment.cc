#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "services/container/domain/references.h"

namespace slipway::container {
namespace {

struct Port {
  uint32_t number = 0;
  std::string protocol;

  bool operator==(const Port&) const = default;
};

// By number, then TCP before all others.
bool Before(const Port& left, const Port& right) {
  if (left.number != right.number) return left.number < right.number;
  return left.protocol == "tcp" && right.protocol != "tcp";
}

std::vector<Port> ExposedPorts(const Container& child) {
  std::vector<Port> ports;
  for (const std::string& text : child.definition->effective.exposed_ports) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(text, absl::MaxSplits('/', 1));
    Port port{.protocol = std::string(parts.second.empty() ? "tcp" : parts.second)};
    if (absl::SimpleAtoi(parts.first, &port.number)) ports.push_back(std::move(port));
  }
  std::sort(ports.begin(), ports.end(), Before);
  return ports;
}

}  // namespace

std::vector<std::string> LinkEnvironment(const std::string& parent, const std::string& alias,
                                         const Container& child, const std::string& address) {
  const std::string name = absl::StrReplaceAll(absl::AsciiStrToUpper(alias), {{"-", "_"}});
  const std::vector<Port> ports = ExposedPorts(child);
  std::vector<std::string> env;
  const auto url = [&address](const Port& port) {
    return absl::StrCat(port.protocol, "://", address, ":", port.number);
  };
  const auto prefix = [&name](const Port& port) {
    return absl::StrCat(name, "_PORT_", port.number, "_", absl::AsciiStrToUpper(port.protocol));
  };
  if (!ports.empty()) env.push_back(absl::StrCat(name, "_PORT=", url(ports.front())));
  for (size_t first = 0; first < ports.size();) {
    size_t end = first + 1;
    while (end < ports.size() && ports[end].number == ports[end - 1].number + 1 &&
           ports[end].protocol == ports[first].protocol) {
      ++end;
    }
    const Port& start = ports[first];
    if (end - first > 1) {
      const Port& last = ports[end - 1];
      env.push_back(absl::StrCat(prefix(start), "_START=", url(start)));
      env.push_back(absl::StrCat(prefix(start), "_PORT_START=", start.number));
      env.push_back(absl::StrCat(prefix(start), "_END=", url(last)));
      env.push_back(absl::StrCat(prefix(start), "_PORT_END=", last.number));
    }
    for (; first < end; ++first) {
      const Port& port = ports[first];
      env.push_back(absl::StrCat(prefix(port), "=", url(port)));
      env.push_back(absl::StrCat(prefix(port), "_ADDR=", address));
      env.push_back(absl::StrCat(prefix(port), "_PORT=", port.number));
      env.push_back(absl::StrCat(prefix(port), "_PROTO=", port.protocol));
    }
  }
  env.push_back(absl::StrCat(name, "_NAME=/", parent, "/", alias));
  for (const std::string& entry : child.definition->effective.env) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos) continue;
    const std::string variable = entry.substr(0, equals);
    if (variable == "HOME" || variable == "PATH") continue;
    env.push_back(absl::StrCat(name, "_ENV_", entry));
  }
  return env;
}

}  // namespace slipway::container
