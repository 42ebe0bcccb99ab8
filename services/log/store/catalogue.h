#ifndef SERVICES_LOG_STORE_CATALOGUE_H_
#define SERVICES_LOG_STORE_CATALOGUE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "services/log/ports/description.h"

namespace slipway::log {

// Which logs there are and what they are of, in memory. Thread-safe.
class Catalogue {
 public:
  // Null: known, and nothing told of it; one that was told before stays. True: something changed.
  bool Put(const std::string& id, std::shared_ptr<const LogDescription> description);
  void Remove(const std::string& id);
  // Null for a log that is not there.
  std::shared_ptr<const LogDescription> Find(const std::string& id) const;
  std::vector<DescribedLog> List(uint64_t* version) const;
  // See LogStore::WaitForChange.
  bool Wait(uint64_t version, std::function<void()> wake);

 private:
  void Changed(std::vector<std::function<void()>>& waiters) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  absl::flat_hash_map<std::string, std::shared_ptr<const LogDescription>> logs_
      ABSL_GUARDED_BY(mu_);
  uint64_t version_ ABSL_GUARDED_BY(mu_) = 1;
  std::vector<std::function<void()>> waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_CATALOGUE_H_
