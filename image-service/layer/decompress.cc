#include "image-service/layer/decompress.h"

#include <archive.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

// The input side: counts what was taken, so that errors can say where.
class Source {
 public:
  Source(absl::string_view first, ChunkQueue* queue) : bytes_(first), queue_(queue) {}

  // False at the end of the input.
  bool Fill() {
    while (bytes_.empty()) {
      const std::optional<absl::string_view> next = queue_->Next();
      if (!next.has_value()) return false;
      bytes_ = *next;
    }
    return true;
  }
  absl::string_view bytes() const { return bytes_; }
  void Take(size_t count) {
    bytes_.remove_prefix(count);
    offset_ += count;
  }
  uint64_t offset() const { return offset_; }
  bool cancelled() const { return queue_->cancelled(); }

 private:
  absl::string_view bytes_;
  ChunkQueue* queue_;
  uint64_t offset_ = 0;
};

// The output side: bounds what comes out.
class Sink {
 public:
  Sink(ChunkQueue* queue, const DecompressOptions& options)
      : queue_(queue), limit_bytes_(options.max_output_bytes), limit_name_(options.limit_name) {}

  absl::Status Acquire() {
    if (buffer_ != nullptr) return absl::OkStatus();
    buffer_ = queue_->Acquire();
    used_ = 0;
    return buffer_ == nullptr ? absl::CancelledError("cancelled") : absl::OkStatus();
  }
  char* at() const { return buffer_ + used_; }
  size_t room() const { return queue_->chunk_bytes() - used_; }
  absl::Status Put(size_t count) {
    used_ += count;
    total_ += count;
    if (total_ > limit_bytes_) {
      return absl::InvalidArgumentError(
          absl::StrCat("the layer's decompressed content passes the limit of ", limit_bytes_,
                       " bytes", limit_name_.empty() ? "" : absl::StrCat(" (", limit_name_, ")")));
    }
    if (room() == 0) Flush();
    return absl::OkStatus();
  }
  void Flush() {
    if (buffer_ != nullptr) queue_->Publish(used_);
    buffer_ = nullptr;
  }

 private:
  ChunkQueue* queue_;
  const uint64_t limit_bytes_;
  const std::string limit_name_;
  uint64_t total_ = 0;
  char* buffer_ = nullptr;
  size_t used_ = 0;
};

absl::Status Damaged(absl::string_view format, absl::string_view what, const Source& source) {
  if (source.cancelled()) return absl::CancelledError("cancelled");
  return absl::DataLossError(absl::StrCat(format, " stream is ", what, " near byte ",
                                          source.offset(), " of the compressed layer"));
}

absl::Status Copy(Source* source, Sink* sink,
                  const std::function<void(absl::string_view)>& on_plain) {
  while (source->Fill()) {
    RETURN_IF_ERROR(sink->Acquire());
    const size_t part = std::min(source->bytes().size(), sink->room());
    memcpy(sink->at(), source->bytes().data(), part);
    if (on_plain) on_plain(source->bytes().substr(0, part));
    source->Take(part);
    RETURN_IF_ERROR(sink->Put(part));
  }
  return absl::OkStatus();
}

// One call of igzip: from the input at hand into the room at hand.
absl::Status InflateStep(inflate_state* state, Source* source, Sink* sink) {
  RETURN_IF_ERROR(sink->Acquire());
  const size_t available = std::min<size_t>(source->bytes().size(), 1 << 30);
  const size_t room = std::min<size_t>(sink->room(), 1 << 30);
  state->next_in = const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(source->bytes().data()));
  state->avail_in = static_cast<uint32_t>(available);
  state->next_out = reinterpret_cast<uint8_t*>(sink->at());
  state->avail_out = static_cast<uint32_t>(room);
  const int result = isal_inflate(state);
  source->Take(available - state->avail_in);
  if (result != ISAL_DECOMP_OK) {
    return Damaged("gzip",
                   result == ISAL_INCORRECT_CHECKSUM
                       ? "damaged (wrong checksum)"
                       : (result == ISAL_INVALID_WRAPPER || result == ISAL_UNSUPPORTED_METHOD
                              ? "damaged (not a gzip header)"
                              : "damaged"),
                   *source);
  }
  return sink->Put(room - state->avail_out);
}

absl::Status Gunzip(Source* source, Sink* sink) {
  const auto state = std::make_unique<inflate_state>();
  isal_inflate_init(state.get());
  while (source->Fill()) {
    // A member. igzip checks the header from the second byte on its own.
    if (source->bytes()[0] != '\x1f') {
      return Damaged("gzip", "followed by something else", *source);
    }
    isal_inflate_reset(state.get());
    state->crc_flag = ISAL_GZIP;
    while (state->block_state != ISAL_BLOCK_FINISH) {
      // Without input igzip may still hold output, and the trailer.
      const bool more = source->Fill();
      const uint32_t before = state->total_out;
      const isal_block_state stage = state->block_state;
      const uint64_t offset = source->offset();
      RETURN_IF_ERROR(InflateStep(state.get(), source, sink));
      const bool moved =
          state->total_out != before || state->block_state != stage || source->offset() != offset;
      if (!more && !moved) return Damaged("gzip", "truncated", *source);
    }
  }
  return absl::OkStatus();
}

absl::Status Unzstd(Source* source, Sink* sink, int max_window_log) {
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  if (context == nullptr) return absl::ResourceExhaustedError("no memory for a zstd decoder");
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, max_window_log);
  size_t result = 0;
  bool full = false;
  for (;;) {
    const bool more = source->Fill();
    // At the end of the input, what did not fit the last buffer still has to come out.
    if (!more && !full) break;
    RETURN_IF_ERROR(sink->Acquire());
    ZSTD_inBuffer in = {source->bytes().data(), source->bytes().size(), 0};
    const size_t room = sink->room();
    ZSTD_outBuffer out = {sink->at(), room, 0};
    result = ZSTD_decompressStream(context.get(), &out, &in);
    source->Take(in.pos);
    if (ZSTD_isError(result)) {
      return Damaged("zstd", absl::StrCat("damaged (", ZSTD_getErrorName(result), ")"), *source);
    }
    full = result != 0 && out.pos == room;
    RETURN_IF_ERROR(sink->Put(out.pos));
  }
  return result == 0 ? absl::OkStatus() : Damaged("zstd", "truncated", *source);
}

struct LibarchiveInput {
  Source* source;
  size_t given = 0;
};

la_ssize_t ReadInput(archive*, void* data, const void** bytes) {
  auto* input = static_cast<LibarchiveInput*>(data);
  input->source->Take(input->given);
  input->given = 0;
  if (!input->source->Fill()) return 0;
  *bytes = input->source->bytes().data();
  input->given = input->source->bytes().size();
  return static_cast<la_ssize_t>(input->given);
}

// libarchive's decoders of whole-file formats, for what only `docker import` takes.
absl::Status Unarchive(absl::string_view format, Source* source, Sink* sink) {
  struct Free {
    void operator()(archive* reader) const { archive_read_free(reader); }
  };
  const std::unique_ptr<archive, Free> reader(archive_read_new());
  if (reader == nullptr) return absl::ResourceExhaustedError("no memory for a decoder");
  archive_read_support_filter_xz(reader.get());
  archive_read_support_filter_bzip2(reader.get());
  archive_read_support_format_raw(reader.get());
  LibarchiveInput input{source};
  archive_entry* entry = nullptr;
  bool ok = archive_read_open(reader.get(), &input, nullptr, ReadInput, nullptr) == ARCHIVE_OK &&
            archive_read_next_header(reader.get(), &entry) == ARCHIVE_OK;
  while (ok) {
    RETURN_IF_ERROR(sink->Acquire());
    const la_ssize_t count = archive_read_data(reader.get(), sink->at(), sink->room());
    if (count == 0) break;
    ok = count > 0;
    if (ok) RETURN_IF_ERROR(sink->Put(static_cast<size_t>(count)));
  }
  if (ok && !source->cancelled()) return absl::OkStatus();
  const char* reason = archive_error_string(reader.get());
  return Damaged(format, absl::StrCat("damaged (", reason == nullptr ? "unknown" : reason, ")"),
                 *source);
}

}  // namespace

Compression DetectCompression(absl::string_view start) {
  if (absl::StartsWith(start, "\x1f\x8b")) return Compression::kGzip;
  if (absl::StartsWith(start, "\x28\xb5\x2f\xfd")) return Compression::kZstd;
  // A skippable frame, with which zstd:chunked and seekable streams may begin.
  if (start.size() >= 4 && (start[0] & 0xf0) == 0x50 && start.substr(1, 3) == "\x2a\x4d\x18") {
    return Compression::kZstd;
  }
  if (absl::StartsWith(start, absl::string_view("\xfd"
                                                "7zXZ\0",
                                                6)))
    return Compression::kXz;
  if (start.size() >= 4 && absl::StartsWith(start, "BZh") && start[3] >= '1' && start[3] <= '9') {
    return Compression::kBzip2;
  }
  return Compression::kNone;
}

absl::string_view CompressionName(Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return "none";
    case Compression::kGzip:
      return "gzip";
    case Compression::kZstd:
      return "zstd";
    case Compression::kXz:
      return "xz";
    case Compression::kBzip2:
      return "bzip2";
  }
  return "unknown";
}

absl::Status Decompress(Compression compression, absl::string_view first, ChunkQueue* in,
                        ChunkQueue* out, const DecompressOptions& options) {
  Source source(first, in);
  Sink sink(out, options);
  absl::Status status;
  switch (compression) {
    case Compression::kNone:
      status = Copy(&source, &sink, options.on_plain);
      break;
    case Compression::kGzip:
      status = Gunzip(&source, &sink);
      break;
    case Compression::kZstd:
      status = Unzstd(&source, &sink, options.max_zstd_window_log);
      break;
    case Compression::kXz:
    case Compression::kBzip2:
      if (!options.accept_xz_and_bzip2) {
        return absl::InvalidArgumentError(absl::StrCat(
            "a layer is not compressed with ", CompressionName(compression), " but gzip or zstd"));
      }
      status = Unarchive(CompressionName(compression), &source, &sink);
      break;
  }
  RETURN_IF_ERROR(status);
  sink.Flush();
  return in->cancelled() ? absl::CancelledError("cancelled") : absl::OkStatus();
}

}  // namespace slipway::image
