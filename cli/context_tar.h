#ifndef CLI_CONTEXT_TAR_H_
#define CLI_CONTEXT_TAR_H_

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace slipway::cli {

// The files of a directory as a tar, in the order of their names, without what its .dockerignore
// excludes (but with that file and the Dockerfile). Owners are left out. `send` gets the bytes in
// pieces; false ends it early. Errors name the file.
absl::Status SendContext(const std::string& directory, const std::string& dockerfile,
                         const std::function<bool(std::string)>& send);

}  // namespace slipway::cli

#endif  // CLI_CONTEXT_TAR_H_
