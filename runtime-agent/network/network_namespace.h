#ifndef RUNTIME_AGENT_NETWORK_NETWORK_NAMESPACE_H_
#define RUNTIME_AGENT_NETWORK_NETWORK_NAMESPACE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"

namespace slipway::agent {

// A network namespace, alive while a descriptor of it or a process in it is. Move-only.
class NetworkNamespace {
 public:
  NetworkNamespace() = default;
  explicit NetworkNamespace(UniqueFd fd) : fd_(std::move(fd)) {}
  bool ok() const { return fd_.ok(); }
  // For setns(2).
  int fd() const { return fd_.get(); }
  UniqueFd Release() { return std::move(fd_); }

 private:
  UniqueFd fd_;
};

// A thread of its own that visits other network namespaces, so that no other thread ever leaves its
// own and nothing forks. Thread-safe; visits run one after the other.
class NamespaceVisitor {
 public:
  // The namespace of the calling thread becomes "home". `background`: for what nobody waits for.
  static absl::StatusOr<std::unique_ptr<NamespaceVisitor>> Start(bool background = false);
  ~NamespaceVisitor();

  // A new namespace with `lo` up.
  absl::StatusOr<NetworkNamespace> CreateNamespace();
  // Runs `visit` on the thread inside the namespace. Sockets opened there stay there.
  absl::Status Visit(int netns_fd, const std::function<absl::Status()>& visit);

 private:
  class Impl;
  explicit NamespaceVisitor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_NETWORK_NAMESPACE_H_
