#include "services/log/store/description_file.h"

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/status/status_macros.h"
#include "slipway/storage/v1/log.pb.h"

namespace slipway::log {
namespace {

std::string Path(const std::string& directory) { return absl::StrCat(directory, "/description"); }

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
  return WriteFileAtomically(Path(directory), stored.SerializeAsString(), 0640);
}

}  // namespace slipway::log
