#include "services/log/domain/line_cutter.h"

#include <algorithm>
#include <cstring>

namespace slipway::log {

void LineCutter::Put(Line& line, StdStream stream, absl::string_view rest, bool continued,
                     const Position& end, EntrySink& sink) {
  if (!line.left_out) {
    absl::string_view whole = rest;
    if (!line.bytes.empty()) {
      line.bytes.append(rest.data(), rest.size());
      whole = line.bytes;
    }
    sink.Add({.time_unix_ns = line.time_unix_ns,
              .stream = stream,
              .data = whole,
              .continued = continued,
              .end = end});
  }
  // A long line's memory is not kept for short ones.
  if (line.bytes.capacity() > 4096) {
    line.bytes = std::string();
  } else {
    line.bytes.clear();
  }
}

size_t LineCutter::Feed(StdStream stream, int64_t time_unix_ns, absl::string_view data,
                        size_t piece_bytes, bool one_line, EntrySink& sink, const Position& at) {
  Line& line = lines_[StreamIndex(stream)];
  const auto behind = [&at](size_t bytes) {
    Position end = at;
    end.data_offset += static_cast<uint32_t>(bytes);
    return end;
  };
  size_t taken = 0;
  while (taken < data.size() && !sink.Full()) {
    if (!line.open) {
      line.open = true;
      line.time_unix_ns = time_unix_ns;
      line.left_out = time_unix_ns < since_;
    }
    absl::string_view rest = data.substr(taken);
    const size_t room = piece_bytes > line.bytes.size() ? piece_bytes - line.bytes.size() : 1;
    rest = rest.substr(0, line.left_out ? rest.size() : room);
    const void* newline = memchr(rest.data(), '\n', rest.size());
    if (newline != nullptr) {
      rest =
          rest.substr(0, static_cast<size_t>(static_cast<const char*>(newline) - rest.data()) + 1);
      Put(line, stream, rest, /*continued=*/false, behind(taken + rest.size()), sink);
      line.open = false;
    } else if (line.left_out) {
      // Nothing to keep.
    } else if (rest.size() == room) {
      Put(line, stream, rest, /*continued=*/true, behind(taken + rest.size()), sink);
    } else {
      line.bytes.append(rest.data(), rest.size());
    }
    taken += rest.size();
    if (one_line && !line.open) break;
  }
  return taken;
}

void LineCutter::Break(StdStream stream, EntrySink& sink, const Position& at) {
  Line& line = lines_[StreamIndex(stream)];
  // Pieces may have come out of it; then there may be nothing left to tell.
  if (line.open && !line.bytes.empty()) Put(line, stream, "", /*continued=*/false, at, sink);
  line.open = false;
}

void LineCutter::LeaveOutRest(StdStream stream) {
  Line& line = lines_[StreamIndex(stream)];
  line.open = true;
  line.left_out = true;
  line.bytes.clear();
}

}  // namespace slipway::log
