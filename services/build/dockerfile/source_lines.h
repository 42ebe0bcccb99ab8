#ifndef SERVICES_BUILD_DOCKERFILE_SOURCE_LINES_H_
#define SERVICES_BUILD_DOCKERFILE_SOURCE_LINES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// A Dockerfile's text as instructions, each in one line: parser directives, comments, continuations
// and here-documents, as BuildKit reads them. Pure.
namespace slipway::build {

// Both from 1.
struct Position {
  int line = 0;
  int column = 0;
};

struct Heredoc {
  std::string name;
  std::string content;       // without the terminator; tabs are stripped already
  bool expands = false;      // variables in it are replaced: its name was not quoted
  bool strips_tabs = false;  // <<-
};

// An instruction with its continuations joined.
struct LogicalLine {
  std::string text;
  int first_line = 0;
  int last_line = 0;
  std::vector<Heredoc> heredocs;

  // Where a byte of `text` stands in the file.
  Position At(size_t offset) const;

  struct Piece {
    size_t offset;  // in text
    Position position;
  };
  std::vector<Piece> pieces;
};

struct SourceLines {
  char escape = '\\';
  std::string syntax;  // directives
  std::string check;
  std::vector<LogicalLine> lines;
  std::vector<std::string> warnings;
};

// InvalidArgument in Docker's words, with the place: "dockerfile parse error on line 3, column 1:
// ...".
absl::Status ParseError(Position position, absl::string_view message);

// Bounded by the size of the text, which is at most kMaxDockerfileBytes.
inline constexpr size_t kMaxDockerfileBytes = 2 << 20;
absl::StatusOr<SourceLines> ReadSourceLines(absl::string_view text);

}  // namespace slipway::build

#endif  // SERVICES_BUILD_DOCKERFILE_SOURCE_LINES_H_
