#ifndef RUNTIME_AGENT_SECCOMP_SECCOMP_COMPILER_H_
#define RUNTIME_AGENT_SECCOMP_SECCOMP_COMPILER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace slipway::agent {

// Turns a seccomp profile in Docker's JSON form (defaultAction, archMap, syscalls with includes and
// excludes) into the BPF program of this machine's architecture. The default profile is the
// maintained one of Debian's golang-github-containers-common, read from
// /usr/share/containers/seccomp.json; the copy that was embedded at build time serves where the
// file is absent. Thread-safe; a program is compiled once for each profile and set of capabilities.
class SeccompCompiler {
 public:
  // The bytes of struct sock_filter[], empty for "unconfined".
  using Program = std::shared_ptr<const std::string>;

  SeccompCompiler();

  // `profile`: "" for the default, "unconfined", or JSON of at most 1 MiB. `capabilities`: the
  // container's bounding set as a mask of 1 << CAP_*. InvalidArgument names what of the profile is
  // wrong.
  absl::StatusOr<Program> Compile(const std::string& profile, uint64_t capabilities);

 private:
  // More entries than this begin anew: only containers with profiles of their own add any.
  static constexpr size_t kMaxCached = 64;

  std::string default_profile_;
  absl::Mutex mu_;
  std::map<std::pair<std::string, uint64_t>, Program> cache_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SECCOMP_SECCOMP_COMPILER_H_
