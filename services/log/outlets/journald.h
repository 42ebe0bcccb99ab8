#ifndef SERVICES_LOG_OUTLETS_JOURNALD_H_
#define SERVICES_LOG_OUTLETS_JOURNALD_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/log/outlets/connection.h"
#include "services/log/ports/outlet.h"

namespace slipway::log {

struct JournaldOptions {
  std::string socket = "/run/systemd/journal/socket";
  // CONTAINER_NAME and so on, the same in every entry.
  std::map<std::string, std::string> fields;
};

// The fields that Docker's driver gives, and labels and variables of the log options under their
// names in capitals.
JournaldOptions ParseJournaldOptions(const ContainerId& id, const LogDescription& description);

// systemd-journald by its own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram per entry.
class Journald : public Outlet {
 public:
  explicit Journald(JournaldOptions options) : options_(std::move(options)) {}
  absl::Status Send(const std::vector<OutletLine>& lines) override;

 private:
  const JournaldOptions options_;
  std::unique_ptr<Connection> connection_;
};

// One datagram.
std::string JournalEntry(const JournaldOptions& options, const OutletLine& line);

}  // namespace slipway::log

#endif  // SERVICES_LOG_OUTLETS_JOURNALD_H_
