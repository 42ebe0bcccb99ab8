#ifndef BASE_OS_DESCRIPTOR_DOOR_H_
#define BASE_OS_DESCRIPTOR_DOOR_H_

#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/os/unique_fd.h"

// How processes of one host give each other open files for their calls. A call carries bytes only;
// so the file goes through a socket of its own first, and the call then names it by the token that
// came back. Who has not got the file open cannot have it read: no path of the caller's is ever
// opened here.
namespace slipway {

// "<run_dir>/image-files.sock" of "<run_dir>/image.sock".
std::string DescriptorDoorPath(absl::string_view service_socket);

// The receiving side. Thread-safe.
class DescriptorDoor {
 public:
  // Files that nobody has asked for; the oldest goes when one more comes, and after kKeptFor each:
  // whoever writes to the other end of a pipe shall not wait for ever.
  static constexpr size_t kMaxWaiting = 256;
  static constexpr absl::Duration kKeptFor = absl::Minutes(10);

  // Listens at `path` (mode 0600, replacing what is there) for processes of this user and of root.
  // The error names the path.
  static absl::StatusOr<std::unique_ptr<DescriptorDoor>> Listen(const std::string& path,
                                                                absl::Duration kept_for = kKeptFor);
  DescriptorDoor(const DescriptorDoor&) = delete;
  DescriptorDoor& operator=(const DescriptorDoor&) = delete;
  ~DescriptorDoor();

  // The file that was given for `token`, once. NotFound.
  absl::StatusOr<UniqueFd> Take(absl::string_view token);

 private:
  struct Waiting {
    std::string token;
    UniqueFd fd;
    absl::Time until;
  };

  DescriptorDoor(std::string path, absl::Duration kept_for, UniqueFd listener, UniqueFd stop);
  void Serve();
  void ServeOne(int connection);
  // How long until the next one's time is over; infinite when none waits.
  absl::Duration DropExpired();

  const std::string path_;
  const absl::Duration kept_for_;
  const UniqueFd listener_;
  const UniqueFd stop_;  // an eventfd
  absl::Mutex mu_;
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mu_);  // by their time
  std::thread thread_;
};

// The giving side: the token of `fd` at the door at `path`. The caller keeps its own `fd`. Waits
// for 5 s at most; Unavailable where nobody listens. Thread-safe.
absl::StatusOr<std::string> GiveDescriptor(const std::string& path, int fd);

}  // namespace slipway

#endif  // BASE_OS_DESCRIPTOR_DOOR_H_
