#ifndef RUNTIME_AGENT_ARCHIVE_REPLY_H_
#define RUNTIME_AGENT_ARCHIVE_REPLY_H_

#include <cstddef>
#include <cstdint>

// What slipway-archive, which runs confined in a container's file system, tells the agent on its
// descriptor 2: replies of a fixed head with two texts behind it. The agent takes them for what
// they are, the words of a process that handles hostile data: sizes are bounded and nothing is
// trusted.
namespace slipway::agent {

enum class ArchiveReplyKind : uint32_t {
  kError = 1,  // the last reply: `code` is an absl::StatusCode, `text` the message
  kStat = 2,   // attributes of the path; `name` and `text` (where a link leads)
  kDone = 3,   // the last reply
};

inline constexpr uint32_t kArchiveReplyMagic = 0x31525641;  // "AVR1"
inline constexpr uint32_t kMaxArchiveTextBytes = 16 << 10;

struct ArchiveReplyHead {
  uint32_t magic = kArchiveReplyMagic;
  uint32_t kind = 0;
  uint32_t code = 0;
  uint32_t mode = 0;  // st_mode
  int64_t size_bytes = 0;
  int64_t modified_ns = 0;
  uint32_t name_bytes = 0;
  uint32_t text_bytes = 0;
};
static_assert(sizeof(ArchiveReplyHead) == 40);

// Commands, as the first argument of slipway-archive.
//   stat <path>               replies kStat, kDone
//   read <path>               replies kStat, writes a tar to descriptor 1, replies kDone
//   write <path> <options>    unpacks the tar on descriptor 0; options: 'k' keeps kinds, then
//   uid:gid
//                             that everything gets, or "-"
//   export                    writes a tar of the root's own file system to descriptor 1
//   changes                   writes a layer tar of /upper to descriptor 1
//   diff                      writes one line for each change of /upper against /lower to
//   descriptor
//                             1: 'A', 'C' or 'D', the path, and a NUL
inline constexpr char kChangedDirectory[] = "/upper";
inline constexpr char kImageDirectory[] = "/lower";

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_ARCHIVE_REPLY_H_
