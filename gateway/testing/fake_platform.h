#ifndef GATEWAY_TESTING_FAKE_PLATFORM_H_
#define GATEWAY_TESTING_FAKE_PLATFORM_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/metrics/metrics.h"
#include "base/rpc/server.h"
#include "gateway/clients/backends.h"
#include "gateway/testing/fake_process.h"

namespace slipway::gateway {

// The services behind the gateway, in memory, for its tests: containers are threads whose "command"
// is one of
//   echo WORDS...   writes them to stdout
//   cat             copies stdin to stdout until it is closed
//   fail N          writes "failing\n" to stderr and exits with N
//   sleep           runs until it is killed
//   spew MIB        writes so much to stdout
//   missing         cannot be executed
// The image "known:latest" is there; "remote:latest" can be pulled. Thread-safe.
class FakePlatform {
 public:
  // All services on one socket below `directory`.
  static absl::StatusOr<std::unique_ptr<FakePlatform>> Start(const std::string& directory);
  ~FakePlatform();

  Backends::Addresses addresses() const;

  // What ContainerService.CreateContainer was last asked for.
  slipway::container::v1::CreateContainerRequest last_create() const;
  // Bytes that LoadImage and ImportImage received.
  uint64_t uploaded_bytes() const { return uploaded_bytes_.load(); }
  // The grpc metadata "x-test" of the last call that had it.
  std::string last_metadata() const;

 private:
  class Images;
  class Containers;
  class Logs;
  class Streams;
  friend class Images;

  struct FakeContainer {
    slipway::container::v1::Container proto;
    std::shared_ptr<FakeProcess> process = std::make_shared<FakeProcess>();
    bool removed = false;
  };
  struct FakeExec {
    slipway::container::v1::ExecSpec spec;
    std::string container_id;
    std::shared_ptr<FakeProcess> process = std::make_shared<FakeProcess>();
  };

  FakePlatform() = default;
  void Join();

  std::shared_ptr<FakeContainer> FindLocked(const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::shared_ptr<FakeProcess> ProcessOf(const std::string& id);
  void EmitLocked(const std::string& type, const std::string& action, const std::string& id,
                  const std::string& image) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  std::string socket_;
  Metrics metrics_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<RpcServer> server_;
  std::atomic<uint64_t> uploaded_bytes_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable absl::Mutex mu_;
  std::map<std::string, std::shared_ptr<FakeContainer>> containers_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::shared_ptr<FakeExec>> execs_ ABSL_GUARDED_BY(mu_);
  std::vector<slipway::common::v1::Event> events_ ABSL_GUARDED_BY(mu_);
  slipway::container::v1::CreateContainerRequest last_create_ ABSL_GUARDED_BY(mu_);
  std::string last_metadata_ ABSL_GUARDED_BY(mu_);
  bool pulled_ ABSL_GUARDED_BY(mu_) = false;
  int next_id_ ABSL_GUARDED_BY(mu_) = 1;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_TESTING_FAKE_PLATFORM_H_
