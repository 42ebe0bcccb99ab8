// Converts one layer blob and says how fast: convert_layer [--nosync] BLOB DIRECTORY [NAME].

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/os/file.h"
#include "image-service/layer/layer_writer.h"

namespace {

using slipway::image::LayerResult;
using slipway::image::LayerWriter;

double Seconds(const timeval& time) { return time.tv_sec + time.tv_usec / 1e6; }

absl::Status Run(const std::string& blob, const std::string& directory, const std::string& name,
                 bool sync) {
  absl::StatusOr<slipway::UniqueFd> fd = slipway::OpenFile(blob, O_RDONLY);
  if (!fd.ok()) return fd.status();
  const absl::Time begin = absl::Now();
  auto writer = LayerWriter::Create({.directory = directory, .sync = sync});
  if (!writer.ok()) return writer.status();
  std::vector<char> buffer(64 << 10);
  ssize_t count;
  while ((count = read(fd->get(), buffer.data(), buffer.size())) > 0) {
    absl::Status status =
        (*writer)->Append(absl::string_view(buffer.data(), static_cast<size_t>(count)));
    if (!status.ok()) return status;
  }
  absl::StatusOr<LayerResult> result = (*writer)->Finish();
  if (!result.ok()) return result.status();
  if (!name.empty()) {
    absl::Status status = (*writer)->Commit(directory + "/" + name);
    if (!status.ok()) return status;
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("digest %s\ndiff_id %s\nentries %llu\n", result->digest.c_str(), result->diff_id.c_str(),
         static_cast<unsigned long long>(result->entry_count));
  printf("MB compressed %.1f tar %.1f image %.1f\n", result->compressed_bytes / 1e6,
         result->tar_bytes / 1e6, result->image_bytes / 1e6);
  printf("wall %.3f s, cpu %.3f user %.3f system, %.0f MB/s of tar, peak memory %.1f MB\n", seconds,
         Seconds(usage.ru_utime), Seconds(usage.ru_stime), result->tar_bytes / 1e6 / seconds,
         usage.ru_maxrss / 1e3);
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  bool sync = true;
  if (!arguments.empty() && arguments[0] == "--nosync") {
    sync = false;
    arguments.erase(arguments.begin());
  }
  if (arguments.size() < 2) {
    fprintf(stderr, "usage: convert_layer [--nosync] BLOB DIRECTORY [NAME]\n");
    return 2;
  }
  const absl::Status status =
      Run(arguments[0], arguments[1], arguments.size() > 2 ? arguments[2] : "", sync);
  if (!status.ok()) fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
