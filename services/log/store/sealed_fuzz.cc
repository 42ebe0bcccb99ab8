#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "services/log/store/record_scanner.h"
#include "services/log/store/sealed_format.h"
#include "services/log/store/segment_file.h"

// Any bytes as a sealed segment: reading ends, stays inside what the table or the frames say, and
// finds the same whether it reads ahead or not.

namespace {

using slipway::log::RecordScanner;

void Require(bool holds) {
  if (!holds) abort();
}

uint64_t Scan(const slipway::log::SegmentFile& file, uint64_t size, bool parallel) {
  slipway::log::ReadBuffer buffer;
  buffer.parallel = parallel;
  RecordScanner scanner(file, slipway::log::kSegmentPrologueBytes, size);
  uint64_t sum = 0;
  while (true) {
    const uint64_t before = scanner.offset();
    const auto found = scanner.Next(buffer);
    // A table whose frames do not join.
    if (!found.ok()) return sum;
    if (*found == RecordScanner::Found::kEnd) return sum;
    Require(scanner.offset() > before && scanner.offset() <= size);
    sum = sum * 31 + static_cast<uint64_t>(*found) + scanner.offset();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const auto file = std::make_shared<slipway::log::SegmentFile>();
  file->fd = slipway::UniqueFd(memfd_create("sealed", MFD_CLOEXEC));
  Require(write(file->fd.get(), data, size_bytes) == static_cast<ssize_t>(size_bytes));
  auto contents = slipway::log::ReadSealed(file->fd.get(), "sealed");
  if (!contents.ok()) return 0;
  file->sealed = true;
  file->frames = std::move(contents->frames);
  file->stretches = contents->stretches;
  slipway::log::ReadStretches(*file);
  const auto size = slipway::log::WrittenBytes(*file, "sealed");
  Require(size.ok());
  // Frames may say that they are large; a few of them show what many would.
  if (*size > 64 << 20) return 0;
  Require(Scan(*file, *size, false) == Scan(*file, *size, true));
  return 0;
}
