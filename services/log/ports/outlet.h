#ifndef SERVICES_LOG_PORTS_OUTLET_H_
#define SERVICES_LOG_PORTS_OUTLET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/log/ports/container_id.h"
#include "services/log/ports/description.h"
#include "services/log/ports/record.h"

namespace slipway::log {

// A line, or a piece of one, on its way to an outlet.
struct OutletLine {
  int64_t time_unix_ns = 0;
  StdStream stream = StdStream::kStdout;
  absl::string_view text;  // without its newline
  bool partial = false;    // the line goes on in the next one of the stream
  bool terminated = true;  // there was a newline
};

// Where one container's output goes besides the store. Calls come from one thread at a time.
class Outlet {
 public:
  virtual ~Outlet() = default;
  // OK: all of them were taken. Otherwise they are offered again. Takes some seconds at most.
  virtual absl::Status Send(const std::vector<OutletLine>& lines) = 0;
  // What Open wants to have when it goes on after everything that was sent so far.
  virtual std::string State() const { return ""; }
  // Everything that is sent later goes into a new file: rotation by somebody else.
  virtual absl::Status Reopen() { return absl::OkStatus(); }
};

// Thread-safe.
class OutletFactory {
 public:
  virtual ~OutletFactory() = default;
  // Null for a container whose driver is none of these.
  virtual absl::StatusOr<std::unique_ptr<Outlet>> Open(const ContainerId& id,
                                                       const LogDescription& description,
                                                       const std::string& state) = 0;
  virtual bool Has(const LogDescription& description) const = 0;
  // What outlets keep for the container, when its log is deleted.
  virtual void Remove(const ContainerId& id) = 0;
  // Of a driver that writes a file for others to read; empty otherwise.
  virtual std::string Path(const ContainerId& id, const LogDescription& description) const = 0;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_PORTS_OUTLET_H_
