#include "cli/build_view.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/terminal.h"

namespace slipway::cli {
namespace {

using build::v1::BuildStep;

constexpr size_t kKeptLines = 200;
constexpr size_t kShownLines = 3;

// What moves the cursor or the title is not for a view that is drawn anew.
std::string Printable(absl::string_view line) {
  std::string out;
  for (const char c : line) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) out.push_back(c);
    if (c == '\t') out.push_back(' ');
    if (c == '\r') out.clear();
  }
  return out;
}

// Cut to so many characters, never inside of one.
std::string Cut(const std::string& text, size_t columns) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80 && ++count > columns) {
      return text.substr(0, i);
    }
  }
  return text;
}

std::string Seconds(const BuildStep& step) {
  if (step.started_unix_ns() == 0) return "";
  const int64_t end =
      step.finished_unix_ns() != 0 ? step.finished_unix_ns() : absl::GetCurrentTimeNanos();
  return absl::StrFormat("%.1fs", static_cast<double>(end - step.started_unix_ns()) / 1e9);
}

const char* Word(BuildStep::State state) {
  switch (state) {
    case BuildStep::STATE_RUNNING:
      return "";
    case BuildStep::STATE_DONE:
      return "DONE";
    case BuildStep::STATE_CACHED:
      return "CACHED";
    case BuildStep::STATE_FAILED:
      return "ERROR";
    case BuildStep::STATE_CANCELLED:
      return "CANCELED";
    default:
      return "";
  }
}

std::string Quoted(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  }
  return out + "\"";
}

}  // namespace

void BuildView::Take(const build::v1::BuildImageResponse& response) {
  if (response.has_plan()) {
    for (const BuildStep& step : response.plan().steps()) steps_.push_back({step});
  } else if (response.has_step()) {
    TakeStep(response.step());
  } else if (response.has_output()) {
    TakeOutput(response.output());
  } else if (response.has_warning()) {
    if (terminal_) {
      warnings_.push_back(response.warning().text());
    } else {
      std::fprintf(out_, "warning: %s\n", Printable(response.warning().text()).c_str());
    }
  }
  if (terminal_) Draw();
}

void BuildView::TakeStep(const BuildStep& update) {
  if (update.number() == 0 || update.number() > steps_.size()) return;
  Step& step = steps_[update.number() - 1];
  const bool begins = step.state.started_unix_ns() == 0 && update.started_unix_ns() != 0;
  step.state.set_state(update.state());
  if (update.started_unix_ns() != 0) step.state.set_started_unix_ns(update.started_unix_ns());
  if (update.finished_unix_ns() != 0) step.state.set_finished_unix_ns(update.finished_unix_ns());
  if (terminal_) return;
  if (begins) std::fprintf(out_, "#%u %s\n", update.number(), Title(step).c_str());
  if (update.finished_unix_ns() != 0) {
    std::fprintf(out_, "#%u %s %s\n", update.number(), Word(update.state()),
                 Seconds(step.state).c_str());
  }
}

void BuildView::TakeOutput(const build::v1::BuildOutput& output) {
  if (output.step() == 0 || output.step() > steps_.size()) return;
  Step& step = steps_[output.step() - 1];
  step.partial += output.data();
  std::vector<std::string> lines = absl::StrSplit(step.partial, '\n');
  step.partial = std::move(lines.back());
  lines.pop_back();
  if (step.partial.size() > 4096) {
    lines.push_back(std::exchange(step.partial, ""));
  }
  for (const std::string& line : lines) {
    step.lines.push_back(Printable(line));
    if (step.lines.size() > kKeptLines) step.lines.pop_front();
    if (!terminal_) {
      std::fprintf(out_, "#%u %s\n", output.step(), step.lines.back().c_str());
    }
  }
}

std::string BuildView::Title(const Step& step) const {
  return absl::StrCat("[", step.state.stage(), " ", step.state.number(), "/", steps_.size(), "] ",
                      Printable(step.state.name()));
}

void BuildView::Tick() {
  if (terminal_) Draw();
}

// Steps that wait are not shown, and of those that have ended only as many as there is room for.
void BuildView::Draw() {
  const common::v1::TerminalSize size = WindowSize();
  const size_t columns = size.columns() == 0 ? 80 : size.columns();
  const size_t rows = std::max<size_t>(size.rows() == 0 ? 24 : size.rows(), 4) - 1;
  std::vector<std::string> lines;
  for (const Step& step : steps_) {
    if (step.state.started_unix_ns() == 0) continue;
    const std::string right = absl::StrCat(Word(step.state.state()), " ", Seconds(step.state));
    std::string left = Cut(Title(step), columns - std::min(columns, right.size() + 2));
    left.resize(std::max(left.size(), columns - std::min(columns, right.size() + 1)), ' ');
    const bool good = step.state.state() == BuildStep::STATE_DONE ||
                      step.state.state() == BuildStep::STATE_CACHED;
    const char* color = good                                            ? "\x1b[34m"
                        : step.state.state() == BuildStep::STATE_FAILED ? "\x1b[31m"
                                                                        : "";
    lines.push_back(absl::StrCat(color, left, right, *color == '\0' ? "" : "\x1b[0m"));
    if (step.state.state() != BuildStep::STATE_RUNNING) continue;
    const size_t from = step.lines.size() - std::min(step.lines.size(), kShownLines);
    for (size_t i = from; i < step.lines.size(); ++i) {
      lines.push_back(absl::StrCat("\x1b[2m", Cut("  | " + step.lines[i], columns), "\x1b[0m"));
    }
  }
  for (const std::string& warning : warnings_) {
    lines.push_back(Cut("warning: " + Printable(warning), columns));
  }
  if (lines.size() > rows) lines.erase(lines.begin(), lines.end() - static_cast<long>(rows));
  std::string out = drawn_lines_ > 0 ? absl::StrCat("\x1b[", drawn_lines_, "A\r\x1b[J") : "";
  for (const std::string& line : lines) absl::StrAppend(&out, line, "\n");
  drawn_lines_ = static_cast<int>(lines.size());
  std::fwrite(out.data(), 1, out.size(), out_);
  std::fflush(out_);
}

void BuildView::End() {
  for (const Step& step : steps_) {
    if (!step.partial.empty() && !terminal_) {
      std::fprintf(out_, "#%u %s\n", step.state.number(), Printable(step.partial).c_str());
    }
    if (step.state.state() != BuildStep::STATE_FAILED) continue;
    if (terminal_) {
      for (const std::string& line : step.lines) std::fprintf(out_, "%s\n", line.c_str());
    }
    std::fprintf(out_, "Dockerfile:%d\n--------------------\n >>> %s\n--------------------\n",
                 step.state.line(), step.state.name().c_str());
  }
}

std::string GraphOf(const build::v1::BuildPlan& plan) {
  std::string out = "digraph build {\n  rankdir=LR;\n  node [shape=box, fontname=monospace];\n";
  std::map<std::string, std::vector<const BuildStep*>> stages;
  for (const BuildStep& step : plan.steps()) stages[step.stage()].push_back(&step);
  int cluster = 0;
  for (const auto& [stage, steps] : stages) {
    absl::StrAppend(&out, "  subgraph cluster_", cluster++, " {\n    label=", Quoted(stage), ";\n");
    for (const BuildStep* step : steps) {
      absl::StrAppend(&out, "    s", step->number(), " [label=", Quoted(step->name()), "];\n");
    }
    out += "  }\n";
  }
  for (const BuildStep& step : plan.steps()) {
    for (const uint32_t other : step.depends_on()) {
      absl::StrAppend(&out, "  s", other, " -> s", step.number(), ";\n");
    }
  }
  return out + "}\n";
}

}  // namespace slipway::cli
