#include <net/if.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "services/container/domain/attachments.h"
#include "services/container/domain/container_name.h"
#include "services/container/domain/network_verbs.h"

namespace slipway::container {
namespace {

constexpr size_t kMaximumNameBytes = 200;
constexpr size_t kMaximumNetworks = 4096;
constexpr int kBlockPrefix = 24;
constexpr int kBlockPrefix6 = 64;
constexpr int kAttempts = 64;

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckName(const std::string& name) {
  for (const char* builtin : {"bridge", "host", "none", "default"}) {
    if (name != builtin) continue;
    return absl::PermissionDeniedError(
        absl::StrCat("operation is not permitted on predefined ", name, " network"));
  }
  const bool clean = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isgraph(c) ? c != '/' && c != ':' && c != '\\' : c >= 0x80 || c == ' ';
  });
  if (name.empty() || name.size() > kMaximumNameBytes || !clean || name.front() == ' ' ||
      name.back() == ' ') {
    return Bad("invalid network name: \"", name.substr(0, kMaximumNameBytes), "\"");
  }
  return absl::OkStatus();
}

absl::Status CheckDriver(std::string& driver) {
  if (driver.empty() || driver == "default") driver = "bridge";
  if (driver == "bridge" || driver == "macvlan" || driver == "ipvlan") return absl::OkStatus();
  if (driver == "host" || driver == "null") {
    return absl::PermissionDeniedError(
        absl::StrCat("only one instance of \"", driver, "\" network is allowed"));
  }
  if (driver == "overlay") {
    return absl::UnimplementedError("network driver \"overlay\" is not offered: it needs a swarm");
  }
  return absl::NotFoundError(absl::StrCat("plugin \"", driver, "\" not found"));
}

// Docker's options that have a value of a certain kind.
absl::Status CheckOptions(const StringMap& options) {
  for (const char* name :
       {"com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade",
        "com.docker.network.bridge.inhibit_ipv4", "slipway.allow_spoofing"}) {
    const auto found = options.find(name);
    bool ignored = false;
    if (found != options.end() && !absl::SimpleAtob(found->second, &ignored)) {
      return Bad("failed to parse ", name, " value: ", found->second);
    }
  }
  const auto mtu = options.find("com.docker.network.driver.mtu");
  int bytes = 0;
  if (mtu != options.end() &&
      (!absl::SimpleAtoi(mtu->second, &bytes) || bytes < 68 || bytes > 65535)) {
    return Bad("failed to parse com.docker.network.driver.mtu value: ", mtu->second);
  }
  const auto address = options.find("com.docker.network.bridge.host_binding_ipv4");
  if (address != options.end()) RETURN_IF_ERROR(ParseAddress(address->second).status());
  return absl::OkStatus();
}

// As Linux has it of names of interfaces.
absl::Status CheckBridgeName(const VirtualNetwork& network) {
  const std::string name = BridgeNameOf(network);
  const bool clean = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isgraph(c) && c != '/' && c != ':';
  });
  if (clean && name.size() < IFNAMSIZ && name != "." && name != "..") {
    return absl::OkStatus();
  }
  return Bad("invalid bridge name: \"", name.substr(0, kMaximumNameBytes), "\"");
}

absl::Status CheckSubnets(VirtualNetwork& network) {
  std::array<int, 2> count = {};
  for (Subnet& subnet : network.subnets) {
    if (subnet.subnet.empty()) {
      if (!subnet.gateway.empty() || !subnet.ip_range.empty() ||
          !subnet.auxiliary_addresses.empty()) {
        return Bad("subnet must be given with gateway, ip-range and aux-address");
      }
      continue;
    }
    subnet.requested = true;
    RETURN_IF_ERROR(CompleteSubnet(subnet));
    ASSIGN_OR_RETURN(const AddressBlock block, AddressBlock::Parse(subnet.subnet));
    if (++count[block.first.v6] > 1) {
      return Bad(network.driver, " driver doesn't support multiple subnets of one family");
    }
    network.enable_ipv6 = network.enable_ipv6 || block.first.v6;
  }
  std::erase_if(network.subnets, [](const Subnet& subnet) { return subnet.subnet.empty(); });
  return absl::OkStatus();
}

bool HasFamily(const VirtualNetwork& network, bool v6) {
  const std::vector<AddressBlock> blocks = BlocksOf(network);
  return std::any_of(blocks.begin(), blocks.end(),
                     [v6](const AddressBlock& block) { return block.first.v6 == v6; });
}

bool OverlapsAny(const VirtualNetwork& network, const std::vector<AddressBlock>& taken) {
  const std::vector<AddressBlock> blocks = BlocksOf(network);
  return std::any_of(blocks.begin(), blocks.end(), [&](const AddressBlock& block) {
    return std::any_of(taken.begin(), taken.end(),
                       [&](const AddressBlock& other) { return block.Overlaps(other); });
  });
}

absl::Status AddBlock(const AddressBlock& pool, int prefix_length,
                      const std::vector<AddressBlock>& taken, VirtualNetwork& network) {
  ASSIGN_OR_RETURN(const AddressBlock block, FindFreeBlock(pool, prefix_length, taken));
  Subnet subnet{.subnet = block.ToString()};
  RETURN_IF_ERROR(CompleteSubnet(subnet));
  network.subnets.push_back(std::move(subnet));
  return absl::OkStatus();
}

// With a block of each family that the client named none of, not one of `refused`.
absl::StatusOr<NetworkPtr> Claim(Core& core, const VirtualNetwork& asked,
                                 const std::vector<AddressBlock>& refused) {
  // Between the look and the claim somebody else may take the block.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto network = std::make_shared<VirtualNetwork>(asked);
    std::vector<AddressBlock> taken = core.networks().TakenBlocks();
    taken.insert(taken.end(), refused.begin(), refused.end());
    if (!HasFamily(asked, false)) {
      RETURN_IF_ERROR(AddBlock(core.network_pool(), kBlockPrefix, taken, *network));
      std::rotate(network->subnets.rbegin(), network->subnets.rbegin() + 1,
                  network->subnets.rend());
    }
    const bool makes6 = asked.enable_ipv6 && !HasFamily(asked, true);
    if (makes6) {
      RETURN_IF_ERROR(
          AddBlock(UniqueLocalPool(core.host().host_id), kBlockPrefix6, taken, *network));
    }
    const absl::Status claimed = core.networks().Claim(network);
    if (claimed.ok()) return network;
    if (absl::IsFailedPrecondition(claimed)) return absl::PermissionDeniedError(claimed.message());
    if (!absl::IsPermissionDenied(claimed) || OverlapsAny(asked, core.networks().TakenBlocks())) {
      return claimed;
    }
  }
  return absl::ResourceExhaustedError("all predefined address pools have been fully subnetted");
}

absl::StatusOr<std::string> CreateNow(Core& core, VirtualNetwork asked) {
  RETURN_IF_ERROR(CheckName(asked.name));
  RETURN_IF_ERROR(CheckDriver(asked.driver));
  RETURN_IF_ERROR(CheckOptions(asked.options));
  RETURN_IF_ERROR(CheckBridgeName(asked));
  RETURN_IF_ERROR(CheckSubnets(asked));
  if (asked.ipam_driver.empty()) asked.ipam_driver = "default";
  if (asked.ipam_driver != "default") {
    return absl::NotFoundError(absl::StrCat("plugin \"", asked.ipam_driver, "\" not found"));
  }
  if (core.networks().All().size() >= kMaximumNetworks) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", kMaximumNetworks, " networks already"));
  }
  asked.id = NewId();
  asked.created_unix_ns = core.clock().NowUnixNs();
  std::vector<AddressBlock> refused;
  while (true) {
    ASSIGN_OR_RETURN(const NetworkPtr network, Claim(core, asked, refused));
    absl::Cleanup unclaim = [&core, &network] { core.networks().Erase(network->id); };
    const bool chosen_by_us = network->subnets.size() > asked.subnets.size();
    const absl::Status made = core.agent().PutNetwork(*network, /*refuse_overlap=*/chosen_by_us);
    if (absl::IsAlreadyExists(made) && chosen_by_us && refused.size() < kMaximumNetworks) {
      const std::vector<AddressBlock> blocks = BlocksOf(*network);
      refused.insert(refused.end(), blocks.begin(), blocks.end());
      continue;
    }
    // Where it may have been made, the next comparison with the host removes it.
    RETURN_IF_ERROR(made);
    StoreBatch batch;
    batch.put_network = network;
    const absl::Status written = core.Write(
        std::move(batch), {MakeNetworkEvent(core, *network, "create")}, Durability::kSynced);
    if (!written.ok()) {
      core.agent().RemoveNetwork(network->id).IgnoreError();
      return written;
    }
    core.networks().Add(network);
    std::move(unclaim).Cancel();
    return network->id;
  }
}

}  // namespace

void CreateNetwork(Core& core, VirtualNetwork network, Done<std::string> done) {
  core.executor().Post(
      [&core, network = std::move(network),
       done = Observed<std::string>(core, "create_network", std::move(done))]() mutable {
        done(CreateNow(core, std::move(network)));
      });
}

}  // namespace slipway::container
