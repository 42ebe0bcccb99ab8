#include "runtime-agent/kernel/device_program.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"

namespace slipway::agent {
namespace {

constexpr size_t kMaxInstructions = 4096;  // what any kernel takes

bpf_insn Load32(int to, int from, int16_t offset) {
  return {.code = BPF_LDX | BPF_MEM | BPF_W,
          .dst_reg = static_cast<uint8_t>(to),
          .src_reg = static_cast<uint8_t>(from),
          .off = offset};
}
bpf_insn Alu(uint8_t operation, int reg, int32_t value) {
  return {.code = static_cast<uint8_t>(BPF_ALU | operation | BPF_K),
          .dst_reg = static_cast<uint8_t>(reg),
          .imm = value};
}
bpf_insn Copy(int to, int from) {
  return {.code = BPF_ALU | BPF_MOV | BPF_X,
          .dst_reg = static_cast<uint8_t>(to),
          .src_reg = static_cast<uint8_t>(from)};
}
bpf_insn JumpIfNot(int reg, int32_t value, int16_t skip) {
  return {.code = BPF_JMP | BPF_JNE | BPF_K,
          .dst_reg = static_cast<uint8_t>(reg),
          .off = skip,
          .imm = value};
}
bpf_insn Exit() { return {.code = BPF_JMP | BPF_EXIT}; }

int AccessMask(const DeviceRule& rule) {
  int mask = 0;
  for (const char access : rule.access) {
    if (access == 'r') mask |= BPF_DEVCG_ACC_READ;
    if (access == 'w') mask |= BPF_DEVCG_ACC_WRITE;
    if (access == 'm') mask |= BPF_DEVCG_ACC_MKNOD;
  }
  return mask;
}

constexpr int kType = BPF_REG_2, kAccess = BPF_REG_3, kMajor = BPF_REG_4, kMinor = BPF_REG_5,
              kScratch = BPF_REG_6;

// "return 1 where all of it matches": each test jumps behind the rule.
void AppendRule(const DeviceRule& rule, std::vector<bpf_insn>& program) {
  std::vector<std::pair<int, int32_t>> tests;
  if (rule.type != 'a') {
    tests.emplace_back(kType, rule.type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK);
  }
  if (rule.major >= 0) tests.emplace_back(kMajor, rule.major);
  if (rule.minor >= 0) tests.emplace_back(kMinor, rule.minor);
  // Behind the tests: copy, mask, test of the access, set the result, exit.
  auto remaining = static_cast<int16_t>(tests.size() + 4);
  for (const auto& [reg, value] : tests) program.push_back(JumpIfNot(reg, value, remaining--));
  program.push_back(Copy(kScratch, kAccess));
  program.push_back(Alu(BPF_AND, kScratch, ~AccessMask(rule) & 0xffff));
  program.push_back(JumpIfNot(kScratch, 0, 2));
  program.push_back(Alu(BPF_MOV, BPF_REG_0, 1));
  program.push_back(Exit());
}

std::vector<bpf_insn> CompileRules(const std::vector<DeviceRule>& more) {
  std::vector<bpf_insn> program;
  // struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor.
  program.push_back(Load32(kType, BPF_REG_1, offsetof(bpf_cgroup_dev_ctx, access_type)));
  program.push_back(Copy(kAccess, kType));
  program.push_back(Alu(BPF_AND, kType, 0xffff));
  program.push_back(Alu(BPF_RSH, kAccess, 16));
  program.push_back(Load32(kMajor, BPF_REG_1, offsetof(bpf_cgroup_dev_ctx, major)));
  program.push_back(Load32(kMinor, BPF_REG_1, offsetof(bpf_cgroup_dev_ctx, minor)));
  for (const DeviceRule& rule : kDefaultDevices) AppendRule(rule, program);
  for (const DeviceRule& rule : more) AppendRule(rule, program);
  program.push_back(Alu(BPF_MOV, BPF_REG_0, 0));
  program.push_back(Exit());
  return program;
}

}  // namespace

std::string FormatDeviceRule(const DeviceRule& rule) {
  auto number = [](int value) { return value < 0 ? std::string("*") : absl::StrCat(value); };
  return absl::StrCat(std::string(1, rule.type), " ", number(rule.major), ":", number(rule.minor),
                      " ", rule.access.data());
}

absl::StatusOr<UniqueFd> LoadDeviceProgram(const std::vector<DeviceRule>& more) {
  std::vector<bpf_insn> program = CompileRules(more);
  if (program.size() > kMaxInstructions) {
    return absl::InvalidArgumentError("too many rules for devices");
  }
  static constexpr char kLicense[] = "Apache-2.0";
  bpf_attr attributes = {};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<uint64_t>(program.data());
  attributes.insn_cnt = static_cast<uint32_t>(program.size());
  attributes.license = reinterpret_cast<uint64_t>(kLicense);
  UniqueFd fd(static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes))));
  if (!fd.ok()) return ErrnoStatus(errno, "load the device program of cgroup v2");
  return fd;
}

absl::Status AttachDeviceProgram(int group_fd, int program_fd) {
  bpf_attr attributes = {};
  attributes.target_fd = static_cast<uint32_t>(group_fd);
  attributes.attach_bpf_fd = static_cast<uint32_t>(program_fd);
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof(attributes)) != 0) {
    return ErrnoStatus(errno, "attach the device program to a cgroup");
  }
  return absl::OkStatus();
}

}  // namespace slipway::agent
