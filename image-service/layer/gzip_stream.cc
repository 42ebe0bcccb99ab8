#include "image-service/layer/gzip_stream.h"

#include <isa-l/igzip_lib.h>

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"

namespace slipway::image {
namespace {

constexpr size_t kOutputBytes = 256 << 10;
// avail_in has 32 bits.
constexpr size_t kMaxInputBytes = 1 << 30;

}  // namespace

struct GzipStream::State {
  isal_zstream stream;
  std::array<uint8_t, ISAL_DEF_LVL1_DEFAULT> level_buffer;
  std::array<char, kOutputBytes> output;
};

GzipStream::GzipStream(Output output) : output_(std::move(output)), state_(new State) {
  isal_zstream& stream = state_->stream;
  isal_deflate_init(&stream);
  stream.level = 1;
  stream.level_buf = state_->level_buffer.data();
  stream.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
  stream.gzip_flag = IGZIP_GZIP;
  stream.flush = NO_FLUSH;
}

GzipStream::~GzipStream() = default;

absl::Status GzipStream::Append(absl::string_view bytes) {
  while (!bytes.empty()) {
    const absl::string_view part = bytes.substr(0, kMaxInputBytes);
    RETURN_IF_ERROR(Run(part, /*end=*/false));
    bytes.remove_prefix(part.size());
  }
  return absl::OkStatus();
}

absl::Status GzipStream::Finish() { return Run("", /*end=*/true); }

absl::Status GzipStream::Run(absl::string_view bytes, bool end) {
  isal_zstream& stream = state_->stream;
  stream.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uint32_t>(bytes.size());
  stream.end_of_stream = end ? 1 : 0;
  do {
    stream.next_out = reinterpret_cast<uint8_t*>(state_->output.data());
    stream.avail_out = kOutputBytes;
    if (const int result = isal_deflate(&stream); result != COMP_OK) {
      return absl::InternalError(absl::StrCat("igzip: error ", result));
    }
    const size_t made = kOutputBytes - stream.avail_out;
    if (made > 0) RETURN_IF_ERROR(output_(absl::string_view(state_->output.data(), made)));
  } while (stream.avail_out == 0 || (end && stream.internal_state.state != ZSTATE_END));
  return absl::OkStatus();
}

}  // namespace slipway::image
