#ifndef SERVICES_LOG_DOMAIN_LINE_CUTTER_H_
#define SERVICES_LOG_DOMAIN_LINE_CUTTER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "services/log/domain/entry_sink.h"
#include "services/log/ports/record.h"

namespace slipway::log {

// Makes lines of the chunks of two interleaved streams: a line goes on over chunks of its stream,
// whatever the other one writes in between, and has the time of the chunk where it begins. Lines
// come out in the order in which they end. One longer than the limit comes out in pieces, of which
// all but the last are marked. Keeps at most one piece per stream. Not thread-safe.
class LineCutter {
 public:
  // Lines that begin before `since_unix_ns` are left out.
  explicit LineCutter(int64_t since_unix_ns) : since_(since_unix_ns) {}

  // Takes bytes until the sink is full or, with `one_line`, the line has ended. Returns how many.
  // `at` is where the data begins.
  size_t Feed(StdStream stream, int64_t time_unix_ns, absl::string_view data, size_t piece_bytes,
              bool one_line, EntrySink& sink, const Position& at = {});

  // What the stream has of a line is all that comes of it. `at` is what ends it.
  void Break(StdStream stream, EntrySink& sink, const Position& at = {});

  // The stream is in the middle of a line that is wanted.
  bool Open(StdStream stream) const {
    const Line& line = lines_[StreamIndex(stream)];
    return line.open && !line.left_out;
  }

  // The stream is in the middle of a line, wanted or not.
  bool InLine(StdStream stream) const { return lines_[StreamIndex(stream)].open; }

  // What the stream has of a line that did not come out yet.
  size_t HeldBytes(StdStream stream) const { return lines_[StreamIndex(stream)].bytes.size(); }

  // Memory that unfinished lines take.
  size_t held_bytes() const { return lines_[0].bytes.capacity() + lines_[1].bytes.capacity(); }

  // The stream is in the middle of a line whose beginning is not wanted.
  void LeaveOutRest(StdStream stream);

  // Forgets what it has of a line: the stream is somewhere else now.
  void Forget(StdStream stream) { lines_[StreamIndex(stream)] = {}; }

 private:
  struct Line {
    bool open = false;
    bool left_out = false;
    int64_t time_unix_ns = 0;
    std::string bytes;
  };

  void Put(Line& line, StdStream stream, absl::string_view rest, bool continued,
           const Position& end, EntrySink& sink);

  const int64_t since_;
  std::array<Line, kStreams> lines_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_DOMAIN_LINE_CUTTER_H_
