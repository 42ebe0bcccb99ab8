#include "image-service/layer/tar_split.h"

#include <endian.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr std::array<char, 8> kMagic = {'S', 'L', 'P', 'S', 'P', 'L', 'I', 'T'};
constexpr size_t kHeaderBytes = 16;
constexpr size_t kStepBytes = 24;
constexpr size_t kMaxLiteralBytes = 64 << 10;
constexpr size_t kMemoryBytes = 1 << 20;
constexpr size_t kCopyBytes = 512 << 10;
constexpr size_t kInputBytes = 64 << 10;
// Headers of tars are alike, and little of each differs.
constexpr int kCompressionLevel = 1;

void Store64(uint64_t value, char* at) {
  const uint64_t little = htole64(value);
  memcpy(at, &little, sizeof(little));
}

uint64_t Load64(const char* at) {
  uint64_t little;
  memcpy(&little, at, sizeof(little));
  return le64toh(little);
}

// All of `size` bytes at `offset`; false when the file ends before.
absl::StatusOr<bool> ReadAt(int fd, uint64_t offset, char* data, size_t size,
                            const std::string& path) {
  while (size > 0) {
    const ssize_t n = pread(fd, data, size, static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, absl::StrCat("read ", path));
    }
    if (n == 0) return false;
    data += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

struct TarSplitWriter::Compressor {
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> context{ZSTD_createCCtx()};
  std::array<char, 64 << 10> output;
};

TarSplitWriter::TarSplitWriter(std::string directory)
    : directory_(std::move(directory)), compressor_(new Compressor) {
  ZSTD_CCtx* const context = compressor_->context.get();
  if (context == nullptr) return;
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, kCompressionLevel);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
}

TarSplitWriter::~TarSplitWriter() = default;

void TarSplitWriter::Append(absl::string_view bytes) { bytes_ = bytes; }

std::optional<uint64_t> TarSplitWriter::PositionOf(absl::string_view bytes) const {
  // Addresses, since pointers into other memory cannot be compared.
  const auto begin = reinterpret_cast<uintptr_t>(bytes_.data());
  const auto at = reinterpret_cast<uintptr_t>(bytes.data());
  if (at < begin || at - begin > bytes_.size() || bytes.size() > bytes_.size() - (at - begin)) {
    return std::nullopt;
  }
  return start_ + (at - begin);
}

void TarSplitWriter::Cover(uint64_t position, uint64_t size_bytes, uint64_t file_offset) {
  const uint64_t covered =
      spans_.empty() ? start_ : spans_.back().position + spans_.back().size_bytes;
  const uint64_t end = position + size_bytes;
  if (end <= covered || end > start_ + bytes_.size()) return;
  if (position < covered) {
    file_offset += covered - position;
    position = covered;
  }
  spans_.push_back({position, end - position, file_offset});
}

absl::Status TarSplitWriter::Settle() {
  uint64_t at = start_;
  for (const Span& span : spans_) {
    RETURN_IF_ERROR(AddLiteral(bytes_.substr(at - start_, span.position - at)));
    RETURN_IF_ERROR(AddSpan(span.file_offset, span.size_bytes));
    at = span.position + span.size_bytes;
  }
  RETURN_IF_ERROR(AddLiteral(bytes_.substr(at - start_)));
  spans_.clear();
  start_ += bytes_.size();
  bytes_ = "";
  return absl::OkStatus();
}

absl::Status TarSplitWriter::AddLiteral(absl::string_view bytes) {
  while (!bytes.empty()) {
    if (span_bytes_ > 0 || literal_.size() == kMaxLiteralBytes) RETURN_IF_ERROR(EmitStep());
    const size_t part = std::min(bytes.size(), kMaxLiteralBytes - literal_.size());
    literal_.append(bytes.data(), part);
    bytes.remove_prefix(part);
  }
  return absl::OkStatus();
}

absl::Status TarSplitWriter::AddSpan(uint64_t file_offset, uint64_t size_bytes) {
  if (span_bytes_ > 0) {
    if (span_offset_ + span_bytes_ == file_offset) {
      span_bytes_ += size_bytes;
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(EmitStep());
  }
  span_offset_ = file_offset;
  span_bytes_ = size_bytes;
  return absl::OkStatus();
}

absl::Status TarSplitWriter::EmitStep() {
  std::array<char, kStepBytes> step;
  Store64(literal_.size(), step.data());
  Store64(span_offset_, step.data() + 8);
  Store64(span_bytes_, step.data() + 16);
  RETURN_IF_ERROR(Compress(absl::string_view(step.data(), step.size()), /*end=*/false));
  RETURN_IF_ERROR(Compress(literal_, /*end=*/false));
  literal_.clear();
  span_offset_ = 0;
  span_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status TarSplitWriter::Compress(absl::string_view bytes, bool end) {
  ZSTD_CCtx* const context = compressor_->context.get();
  if (context == nullptr) return absl::ResourceExhaustedError("no memory for a zstd encoder");
  ZSTD_inBuffer in = {bytes.data(), bytes.size(), 0};
  while (true) {
    ZSTD_outBuffer out = {compressor_->output.data(), compressor_->output.size(), 0};
    const size_t left =
        ZSTD_compressStream2(context, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left)) {
      return absl::InternalError(absl::StrCat("zstd: ", ZSTD_getErrorName(left)));
    }
    out_.append(compressor_->output.data(), out.pos);
    if (out_.size() >= kMemoryBytes) RETURN_IF_ERROR(Spill());
    if (end ? left == 0 : in.pos == in.size) return absl::OkStatus();
  }
}

absl::Status TarSplitWriter::Spill() {
  if (!spill_.has_value()) {
    ASSIGN_OR_RETURN(LayerFile file, LayerFile::Create(directory_));
    spill_.emplace(std::move(file));
  }
  RETURN_IF_ERROR(spill_->WriteAt(spilled_bytes_, out_));
  spilled_bytes_ += out_.size();
  out_.clear();
  return absl::OkStatus();
}

absl::Status TarSplitWriter::Finish() {
  if (!literal_.empty() || span_bytes_ > 0) RETURN_IF_ERROR(EmitStep());
  return Compress("", /*end=*/true);
}

absl::StatusOr<uint64_t> TarSplitWriter::WriteTo(LayerFile* file, uint64_t offset) const {
  std::array<char, kHeaderBytes> header;
  memcpy(header.data(), kMagic.data(), kMagic.size());
  Store64(spilled_bytes_ + out_.size(), header.data() + kMagic.size());
  RETURN_IF_ERROR(file->WriteAt(offset, absl::string_view(header.data(), header.size())));
  uint64_t at = offset + header.size();
  if (spill_.has_value()) {
    const auto buffer = std::make_unique<char[]>(kCopyBytes);
    for (uint64_t done = 0; done < spilled_bytes_;) {
      const size_t part = std::min<uint64_t>(kCopyBytes, spilled_bytes_ - done);
      const std::string what = absl::StrCat("a file without a name in ", directory_);
      ASSIGN_OR_RETURN(const bool whole, ReadAt(spill_->fd(), done, buffer.get(), part, what));
      if (!whole) return absl::DataLossError(absl::StrCat(what, " ends early"));
      RETURN_IF_ERROR(file->WriteAt(at, absl::string_view(buffer.get(), part)));
      at += part;
      done += part;
    }
  }
  RETURN_IF_ERROR(file->WriteAt(at, out_));
  return at + out_.size() - offset;
}

namespace {

// The steps, one after the other.
class SplitReader {
 public:
  SplitReader(int fd, const std::string& path, uint64_t split_offset)
      : fd_(fd), path_(path), next_(split_offset), context_(ZSTD_createDCtx()) {}

  absl::Status ReadHeader() {
    if (context_ == nullptr) return absl::ResourceExhaustedError("no memory for a zstd decoder");
    std::array<char, kHeaderBytes> header;
    ASSIGN_OR_RETURN(const bool whole, ReadAt(fd_, next_, header.data(), header.size(), path_));
    if (!whole || memcmp(header.data(), kMagic.data(), kMagic.size()) != 0) {
      return Damaged("has none");
    }
    next_ += header.size();
    left_ = Load64(header.data() + kMagic.size());
    return absl::OkStatus();
  }

  // All of `size` bytes; false at the end of the split.
  absl::StatusOr<bool> Read(char* data, size_t size) {
    ZSTD_outBuffer out = {data, size, 0};
    while (out.pos < out.size) {
      if (in_.pos == in_.size && left_ > 0) RETURN_IF_ERROR(Fill());
      const size_t before = out.pos;
      const size_t in_before = in_.pos;
      const size_t result = ZSTD_decompressStream(context_.get(), &out, &in_);
      if (ZSTD_isError(result)) return Damaged(ZSTD_getErrorName(result));
      if (out.pos == before && in_.pos == in_before) {
        if (out.pos == 0 && left_ == 0 && in_.pos == in_.size) return false;
        return Damaged("ends early");
      }
    }
    return true;
  }

  absl::Status Damaged(absl::string_view why) const {
    return absl::DataLossError(absl::StrCat("the split of ", path_, ": ", why));
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };

  absl::Status Fill() {
    const size_t part = std::min<uint64_t>(left_, input_.size());
    ASSIGN_OR_RETURN(const bool whole, ReadAt(fd_, next_, input_.data(), part, path_));
    if (!whole) return Damaged("ends early");
    next_ += part;
    left_ -= part;
    in_ = {input_.data(), part, 0};
    return absl::OkStatus();
  }

  const int fd_;
  const std::string& path_;
  uint64_t next_;
  uint64_t left_ = 0;
  const std::unique_ptr<ZSTD_DCtx, Free> context_;
  std::array<char, kInputBytes> input_;
  ZSTD_inBuffer in_ = {nullptr, 0, 0};
};

}  // namespace

absl::Status ReadSplitTar(int fd, const std::string& path, uint64_t split_offset,
                          uint64_t tar_bytes,
                          const std::function<absl::Status(absl::string_view)>& sink) {
  const auto reader = std::make_unique<SplitReader>(fd, path, split_offset);
  RETURN_IF_ERROR(reader->ReadHeader());
  const auto buffer = std::make_unique<char[]>(kCopyBytes);
  size_t used = 0;
  const auto make_room = [&](size_t wanted) -> absl::Status {
    if (kCopyBytes - used >= wanted) return absl::OkStatus();
    return sink(absl::string_view(buffer.get(), std::exchange(used, 0)));
  };
  uint64_t left = tar_bytes;
  while (true) {
    std::array<char, kStepBytes> step;
    ASSIGN_OR_RETURN(bool whole, reader->Read(step.data(), step.size()));
    if (!whole) break;
    const uint64_t literal_bytes = Load64(step.data());
    uint64_t offset = Load64(step.data() + 8);
    uint64_t span_bytes = Load64(step.data() + 16);
    if (literal_bytes > kMaxLiteralBytes || literal_bytes > left ||
        span_bytes > left - literal_bytes || offset > split_offset ||
        span_bytes > split_offset - offset) {
      return reader->Damaged("a step leads out of it");
    }
    left -= literal_bytes + span_bytes;
    RETURN_IF_ERROR(make_room(literal_bytes));
    if (literal_bytes > 0) {
      ASSIGN_OR_RETURN(whole, reader->Read(buffer.get() + used, literal_bytes));
      if (!whole) return reader->Damaged("ends early");
      used += literal_bytes;
    }
    while (span_bytes > 0) {
      RETURN_IF_ERROR(make_room(1));
      const size_t part = std::min<uint64_t>(span_bytes, kCopyBytes - used);
      ASSIGN_OR_RETURN(whole, ReadAt(fd, offset, buffer.get() + used, part, path));
      if (!whole) return reader->Damaged("a step leads out of it");
      used += part;
      offset += part;
      span_bytes -= part;
    }
  }
  if (left != 0) return reader->Damaged("ends early");
  return used == 0 ? absl::OkStatus() : sink(absl::string_view(buffer.get(), used));
}

}  // namespace slipway::image
