#include "services/log/store/description_file.h"

#include <fcntl.h>
#include <stdio.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "slipway/storage/v1/log.pb.h"

namespace slipway::log {
namespace {

std::string Path(const std::string& directory) { return absl::StrCat(directory, "/description"); }

absl::Status Replace(const std::string& path, const std::string& bytes) {
  const std::string temporary = absl::StrCat(path, ".new");
  {
    ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0640));
    RETURN_IF_ERROR(WriteAll(fd.get(), bytes, temporary));
  }
  if (rename(temporary.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("rename ", temporary));
}

}  // namespace

absl::StatusOr<LogDescription> LoadDescription(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(Path(directory)));
  storage::v1::StoredLogDescription stored;
  if (!stored.ParseFromString(bytes)) {
    return absl::DataLossError(absl::StrCat(Path(directory), " is damaged"));
  }
  LogDescription description{.name = stored.name(),
                             .image = stored.image(),
                             .image_id = stored.image_id(),
                             .labels = {stored.labels().begin(), stored.labels().end()},
                             .env = {stored.env().begin(), stored.env().end()},
                             .argv = {stored.argv().begin(), stored.argv().end()},
                             .tty = stored.tty(),
                             .driver = stored.driver(),
                             .options = {stored.options().begin(), stored.options().end()},
                             .created_unix_ns = stored.created_unix_ns(),
                             .hostname = stored.hostname()};
  return description;
}

absl::Status SaveDescription(const std::string& directory, const LogDescription& description) {
  storage::v1::StoredLogDescription stored;
  stored.set_name(description.name);
  stored.set_image(description.image);
  stored.set_image_id(description.image_id);
  for (const auto& [key, value] : description.labels) (*stored.mutable_labels())[key] = value;
  for (const std::string& variable : description.env) stored.add_env(variable);
  for (const std::string& argument : description.argv) stored.add_argv(argument);
  stored.set_tty(description.tty);
  stored.set_driver(description.driver);
  for (const auto& [key, value] : description.options) (*stored.mutable_options())[key] = value;
  stored.set_created_unix_ns(description.created_unix_ns);
  stored.set_hostname(description.hostname);
  return Replace(Path(directory), stored.SerializeAsString());
}

absl::StatusOr<OutletPosition> LoadOutletPosition(const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/outlet");
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  storage::v1::StoredOutletPosition stored;
  if (!stored.ParseFromString(bytes) || stored.streams_size() != static_cast<int>(kStreams)) {
    return absl::DataLossError(absl::StrCat(path, " is damaged"));
  }
  OutletPosition position{.state = stored.state(),
                          .sent_entries = stored.sent_entries(),
                          .sent_bytes = stored.sent_bytes(),
                          .dropped_bytes = stored.dropped_bytes()};
  for (size_t i = 0; i < kStreams; ++i) {
    const auto& stream = stored.streams(static_cast<int>(i));
    position.streams[i] = {.segment = stream.segment(),
                           .offset = stream.offset(),
                           .data_offset = stream.data_offset()};
  }
  return position;
}

absl::Status SaveOutletPosition(const std::string& directory, const OutletPosition& position) {
  storage::v1::StoredOutletPosition stored;
  for (const Position& stream : position.streams) {
    auto* added = stored.add_streams();
    added->set_segment(stream.segment);
    added->set_offset(stream.offset);
    added->set_data_offset(stream.data_offset);
  }
  stored.set_state(position.state);
  stored.set_sent_entries(position.sent_entries);
  stored.set_sent_bytes(position.sent_bytes);
  stored.set_dropped_bytes(position.dropped_bytes);
  return Replace(absl::StrCat(directory, "/outlet"), stored.SerializeAsString());
}

}  // namespace slipway::log
