#ifndef RUNTIME_AGENT_DNS_CONTROL_H_
#define RUNTIME_AGENT_DNS_CONTROL_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What the agent tells slipway-dns, one message per packet of a SOCK_SEQPACKET socket that is the
// process's standard input. Nothing ever goes the other way. Pure, thread-safe.
namespace slipway::dns {

inline constexpr size_t kMaxControlBytes = 48 << 10;

// One sandbox. Its sockets, UDP then listening TCP, come with the packet the first time.
struct SandboxRecord {
  std::string id;
  std::vector<std::string> network_ids;
  std::map<std::string, std::string> links;  // lower case → container id
  std::vector<std::string> upstreams;        // addresses; none: nothing is forwarded
};
struct SandboxGone {
  std::string id;
};
// A container's place in a network; addresses as bytes in network order, empty where there is none.
struct EndpointRecord {
  std::string network_id;
  std::string network_name;
  std::string container_id;
  std::vector<std::string> names;  // its own name first
  std::string address;
  std::string address6;
};
struct EndpointGone {
  std::string network_id;
  std::string container_id;
};
using ControlMessage = std::variant<SandboxRecord, SandboxGone, EndpointRecord, EndpointGone>;

std::string EncodeControl(const ControlMessage& message);
// Nothing for what is none.
std::optional<ControlMessage> DecodeControl(std::string_view bytes);

}  // namespace slipway::dns

#endif  // RUNTIME_AGENT_DNS_CONTROL_H_
