#include "gateway/docker/stdcopy.h"

namespace slipway::gateway {

void AppendFrame(Framing framing, slipway::common::v1::StdStream stream, absl::string_view data,
                 std::string& out) {
  AppendFrame(framing, stream, "", data, out);
}

void AppendFrame(Framing framing, slipway::common::v1::StdStream stream, absl::string_view head,
                 absl::string_view data, std::string& out) {
  const size_t size = head.size() + data.size();
  if (size == 0) return;
  if (framing == Framing::kMultiplexed) {
    const auto length = static_cast<uint32_t>(size);
    const bool is_stderr = stream == slipway::common::v1::STD_STREAM_STDERR;
    const char header[8] = {static_cast<char>(is_stderr ? 2 : 1),
                            0,
                            0,
                            0,
                            static_cast<char>(length >> 24),
                            static_cast<char>(length >> 16),
                            static_cast<char>(length >> 8),
                            static_cast<char>(length)};
    out.append(header, sizeof(header));
  }
  out.append(head.data(), head.size());
  out.append(data.data(), data.size());
}

}  // namespace slipway::gateway
