#ifndef RUNTIME_AGENT_DOMAIN_ARCHIVER_H_
#define RUNTIME_AGENT_DOMAIN_ARCHIVER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/archive/reply.h"
#include "runtime-agent/supervisor/plan_builder.h"

namespace slipway::agent {

// What one run of slipway-archive (runtime-agent/archive) works on.
enum class ArchiveView {
  kFiles,    // what the container sees, or would see if it ran: volumes included
  kOwn,      // its file system without what is mounted over it
  kChanges,  // /upper, /lower: what it changed, and the image that it changed
};

struct ArchiveCommand {
  ArchiveView view = ArchiveView::kFiles;
  std::vector<std::string> arguments;  // reply.h
};

struct ArchivePathStat {
  std::string name;
  int64_t size_bytes = 0;
  uint32_t mode = 0;  // st_mode
  int64_t modified_ns = 0;
  std::string link_target;
};

// The agent's ends of a running slipway-archive. Calls block; the process ends when this goes away.
// Used from one thread.
class Archiver {
 public:
  // `held` keeps what the process works on.
  Archiver(UniqueFd input, UniqueFd output, UniqueFd replies, std::function<void()> held)
      : input_(std::move(input)),
        output_(std::move(output)),
        replies_(std::move(replies)),
        held_(std::move(held)) {}
  ~Archiver() {
    if (held_) held_();
  }
  Archiver(const Archiver&) = delete;
  Archiver& operator=(const Archiver&) = delete;

  // Of "stat" and "read", before anything else.
  absl::StatusOr<ArchivePathStat> ReadStat();
  // The pipe that it writes to, for somebody else who reads it then; that one sees its end only
  // after CloseOutput.
  int output() const { return output_.get(); }
  void CloseOutput() { output_.reset(); }
  // What it writes; 0 at the end.
  absl::StatusOr<size_t> ReadOutput(char* data, size_t size);
  // False when it takes no more: Finish() tells why.
  absl::StatusOr<bool> WriteInput(absl::string_view data);
  void CloseInput() { input_.reset(); }
  // Its last word. Internal when it died without one.
  absl::Status Finish();

 private:
  struct Reply {
    ArchiveReplyHead head;
    std::string name;
    std::string text;
  };
  absl::StatusOr<Reply> ReadReply();

  UniqueFd input_;
  UniqueFd output_;
  UniqueFd replies_;
  std::function<void()> held_;
};

struct ArchiverMount {
  UniqueFd tree;
  std::string target;
  bool is_file = false;
  bool read_only = false;
};

struct ArchiverBindings {
  UniqueFd program;  // a mount of the binary that nothing can write through
  UniqueFd root;     // detached mount
  std::vector<ArchiverMount> mounts;
  bool read_only_root = false;
  UniqueFd input;
  UniqueFd output;
  UniqueFd replies;
  std::string seccomp;  // program
  uint64_t capabilities = 0;
  std::vector<std::string> arguments;
  // Where the container's users are remapped: its ids are those in archives.
  UniqueFd user_namespace;
  uint32_t first_uid = 0;
  uint32_t first_gid = 0;
};

// The plan of its process: a mount namespace of its own with that root, bounded memory, no new
// privileges.
absl::StatusOr<Plan> CompileArchiverPlan(ArchiverBindings bindings);

// The capabilities it needs for a command, as a mask.
uint64_t ArchiverCapabilities(const ArchiveCommand& command);

// Its seccomp profile, in Docker's format.
absl::string_view ArchiverSeccompProfile();

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_ARCHIVER_H_
