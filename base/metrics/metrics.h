#ifndef BASE_METRICS_METRICS_H_
#define BASE_METRICS_METRICS_H_

#include <prometheus/collectable.h>
#include <prometheus/registry.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace prometheus {
class Exposer;
}

namespace slipway {

// The process's registry and its HTTP face. The registry also has the process_* figures (client
// libraries' standard names). Thread-safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }

  // Figures that are made when somebody asks for them. Call before Serve.
  void Register(std::shared_ptr<prometheus::Collectable> collectable);

  // Serves /metrics on "address:port". An empty address serves nothing. A port that is taken is
  // waited for, 15 s at most: a predecessor that was killed may still be held in the kernel by its
  // disk. The error names the address.
  absl::Status Serve(absl::string_view address);

  // The exposition text, for a process with an HTTP server of its own.
  std::string Text() const;

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  std::shared_ptr<prometheus::Collectable> process_;
  std::vector<std::shared_ptr<prometheus::Collectable>> others_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace slipway

#endif  // BASE_METRICS_METRICS_H_
