#ifndef RUNTIME_AGENT_SUPERVISOR_BLANK_MOUNTS_H_
#define RUNTIME_AGENT_SUPERVISOR_BLANK_MOUNTS_H_

// A mount namespace that has nothing but an empty, read-only root. A container is cloned from
// inside it: its own namespace is then a copy of one mount instead of all of the host's, and the
// container's root is attached over it instead of being pivoted to, so that there is no old root to
// unmount (which waits for an RCU grace period). Nothing of the host can be reached from below it.
namespace slipway::agent {

class BlankMounts {
 public:
  // `staging`: an empty directory. Single-threaded callers only. 0, or -1 with errno.
  int Create(const char* staging);
  // Between the two the caller is in the blank namespace: its paths lead nowhere.
  int Enter() const;
  int Leave() const;

 private:
  int own_ = -1;
  int blank_ = -1;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_BLANK_MOUNTS_H_
