#ifndef RUNTIME_AGENT_SECCOMP_COMPILER_H_
#define RUNTIME_AGENT_SECCOMP_COMPILER_H_

#include <linux/filter.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "runtime-agent/ports/seccomp_compiler.h"

namespace slipway::agent {

// Compiles with libseccomp, once per profile and set of capabilities, and makes the result short
// (condense.h). As runc, a call that is newer
// than every call that the profile names fails with ENOSYS, so that programs fall back.
// Thread-safe; two first callers for one key may both compile.
class LibseccompCompiler : public SeccompCompiler {
 public:
  absl::StatusOr<std::shared_ptr<const std::string>> Compile(absl::string_view profile,
                                                             uint64_t capabilities) override;

 private:
  absl::Mutex mutex_;
  absl::flat_hash_map<std::pair<std::string, uint64_t>, std::shared_ptr<const std::string>> cache_
      ABSL_GUARDED_BY(mutex_);
};

// What libseccomp makes of a profile ("": the default one), before it is made shorter
// (condense.h): the measure of the shorter one in tests.
absl::StatusOr<std::vector<sock_filter>> CompileAsWritten(absl::string_view profile,
                                                          uint64_t capabilities);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SECCOMP_COMPILER_H_
