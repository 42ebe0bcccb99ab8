#include "runtime-agent/seccomp/condense.h"

#include <cstddef>
#include <cstring>
#include <optional>
#include <set>

namespace slipway::agent {
namespace {

// A tree over so many ranges still fits the 8 bits of a jump.
constexpr size_t kMaxRanges = 250;
constexpr uint32_t kFirstArgument = offsetof(seccomp_data, instruction_pointer);

struct Range {
  uint32_t first = 0;
  std::optional<uint32_t> action;  // without one, `rest` decides
};

bool Compare(uint16_t code, uint32_t value, uint32_t with) {
  switch (BPF_OP(code)) {
    case BPF_JEQ:
      return value == with;
    case BPF_JGT:
      return value > with;
    case BPF_JGE:
      return value >= with;
    default:
      return (value & with) != 0;
  }
}

// Between two of these numbers a program that only compares the number decides alike.
std::set<uint32_t> Boundaries(absl::Span<const sock_filter> program) {
  std::set<uint32_t> numbers = {0};
  for (const sock_filter& instruction : program) {
    if (BPF_CLASS(instruction.code) != BPF_JMP) continue;
    numbers.insert(instruction.k);
    if (instruction.k != UINT32_MAX) numbers.insert(instruction.k + 1);
  }
  return numbers;
}

std::optional<std::vector<Range>> RangesOf(absl::Span<const sock_filter> program,
                                           const std::set<uint32_t>& boundaries,
                                           uint32_t architecture) {
  std::vector<Range> ranges;
  for (const uint32_t number : boundaries) {
    seccomp_data data = {};
    data.arch = architecture;
    data.nr = static_cast<int>(number);
    const Decision decision = Decide(program, data, /*arguments_known=*/false);
    if (decision.decided == Decided::kUnknown) return std::nullopt;
    std::optional<uint32_t> action;
    if (decision.decided == Decided::kYes) action = decision.action;
    if (ranges.empty() || ranges.back().action != action) ranges.push_back({number, action});
  }
  return ranges;
}

class Writer {
 public:
  void Architecture(uint32_t architecture, absl::Span<const Range> ranges) {
    Add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
    Add(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0);
    const size_t skip = program_.size();
    Add(BPF_JMP | BPF_JA, 0);
    Add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
    Tree(ranges);
    program_[skip].k = static_cast<uint32_t>(program_.size() - skip - 1);
  }

  std::vector<sock_filter> Finish(absl::Span<const sock_filter> rest) {
    for (const size_t at : to_rest_) {
      program_[at].k = static_cast<uint32_t>(program_.size() - at - 1);
    }
    program_.insert(program_.end(), rest.begin(), rest.end());
    return std::move(program_);
  }

 private:
  void Add(uint16_t code, uint32_t value, uint8_t if_true = 0, uint8_t if_false = 0) {
    program_.push_back({code, if_true, if_false, value});
  }

  void Tree(absl::Span<const Range> ranges) {
    if (ranges.size() == 1) {
      if (ranges[0].action.has_value()) return Add(BPF_RET | BPF_K, *ranges[0].action);
      to_rest_.push_back(program_.size());
      return Add(BPF_JMP | BPF_JA, 0);
    }
    const size_t half = ranges.size() / 2;
    const size_t left = 2 * half - 1;  // instructions
    Add(BPF_JMP | BPF_JGE | BPF_K, ranges[half].first, static_cast<uint8_t>(left), 0);
    Tree(ranges.subspan(0, half));
    Tree(ranges.subspan(half));
  }

  std::vector<sock_filter> program_;
  std::vector<size_t> to_rest_;
};

}  // namespace

Decision Decide(absl::Span<const sock_filter> program, const seccomp_data& data,
                bool arguments_known) {
  uint32_t value = 0;
  bool by_arguments = false;  // `value` is not simply the number or the architecture
  // Jumps go forward only: it ends.
  for (size_t at = 0; at < program.size(); ++at) {
    const sock_filter& instruction = program[at];
    switch (instruction.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (instruction.k > sizeof(data) - sizeof(value)) return {};
        by_arguments = instruction.k >= kFirstArgument;
        if (by_arguments && !arguments_known) return {Decided::kByArguments};
        std::memcpy(&value, reinterpret_cast<const char*>(&data) + instruction.k, sizeof(value));
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        if (!by_arguments) return {};
        value &= instruction.k;
        break;
      case BPF_JMP | BPF_JA:
        at += instruction.k;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        if (!by_arguments) return {};
        [[fallthrough]];
      case BPF_JMP | BPF_JEQ | BPF_K:
      case BPF_JMP | BPF_JGT | BPF_K:
      case BPF_JMP | BPF_JGE | BPF_K:
        at += Compare(instruction.code, value, instruction.k) ? instruction.jt : instruction.jf;
        break;
      case BPF_RET | BPF_K:
        return {Decided::kYes, instruction.k};
      default:
        return {};
    }
  }
  return {};
}

std::vector<sock_filter> Condense(absl::Span<const sock_filter> whole,
                                  absl::Span<const sock_filter> rest,
                                  absl::Span<const uint32_t> architectures) {
  const std::set<uint32_t> boundaries = Boundaries(whole);
  Writer writer;
  for (const uint32_t architecture : architectures) {
    const auto ranges = RangesOf(whole, boundaries, architecture);
    if (!ranges.has_value() || ranges->size() > kMaxRanges) return {whole.begin(), whole.end()};
    writer.Architecture(architecture, *ranges);
  }
  std::vector<sock_filter> condensed = writer.Finish(rest);
  if (condensed.size() >= whole.size()) return {whole.begin(), whole.end()};
  return condensed;
}

}  // namespace slipway::agent
