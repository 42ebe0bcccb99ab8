#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "services/log/store/record_scanner.h"
#include "services/log/store/segment_file.h"

// Any bytes as a segment, and as its index: reading ends, stays inside the file and finds no record
// behind the end; what recovery keeps can be scanned again.

namespace {

using slipway::log::RecordScanner;

void Require(bool holds) {
  if (!holds) abort();
}

uint64_t Scan(const slipway::log::SegmentFile& file, uint64_t size, slipway::log::ReadBuffer& b) {
  RecordScanner scanner(file, slipway::log::kSegmentPrologueBytes, size);
  uint64_t records = 0;
  while (true) {
    const uint64_t before = scanner.offset();
    const auto found = scanner.Next(b);
    Require(found.ok());
    if (*found == RecordScanner::Found::kEnd) return records;
    Require(scanner.offset() > before && scanner.offset() <= size);
    if (*found == RecordScanner::Found::kRecord) ++records;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  // The salt is zero, so that the fuzzer can make records that are good.
  slipway::log::SegmentFile file;
  file.fd = slipway::UniqueFd(memfd_create("segment", MFD_CLOEXEC));
  const std::string prologue = slipway::log::EncodeSegmentPrologue(file.header);
  Require(write(file.fd.get(), prologue.data(), prologue.size()) ==
          static_cast<ssize_t>(prologue.size()));
  Require(write(file.fd.get(), data, size_bytes) == static_cast<ssize_t>(size_bytes));
  const uint64_t size = prologue.size() + size_bytes;
  slipway::log::ReadBuffer buffer;
  Scan(file, size, buffer);
  std::vector<slipway::log::Block> index;
  if (const auto block = slipway::log::DecodeIndexEntry(
          absl::string_view(reinterpret_cast<const char*>(data), size_bytes), 0)) {
    index.push_back(*block);
  }
  for (const bool last : {true, false}) {
    const auto recovered = slipway::log::RecoverSegment(file, index, size, last, buffer);
    Require(recovered.ok() && recovered->size_bytes <= size);
    Scan(file, recovered->size_bytes, buffer);
  }
  return 0;
}
