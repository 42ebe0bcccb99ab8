#include "runtime-agent/supervisor/plan_builder.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace slipway::agent {

namespace {

constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                                     CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWUSER;
constexpr size_t kMaxPlanSizeBytes = 8u << 20;
constexpr uint64_t kMinSpoolBytes = 64u << 10;

void PadTo(std::string* bytes, size_t alignment) {
  while (bytes->size() % alignment != 0) bytes->push_back('\0');
}

}  // namespace

void SetFailingStep(Plan& plan, PlanStep step) {
  const auto value = static_cast<uint32_t>(step);
  plan.bytes.replace(offsetof(PlanHeader, failing_step), sizeof(value),
                     reinterpret_cast<const char*>(&value), sizeof(value));
}

PlanHeader PlanBuilder::EmptyHeader() {
  PlanHeader header = {};
  header.magic = kPlanMagic;
  header.version = kPlanVersion;
  header.cgroup_fd = header.spool_fd = kNoPlanFd;
  for (int32_t& fd : header.stdio_fd) fd = kNoPlanFd;
  return header;
}

PlanFd PlanBuilder::AddFd(UniqueFd fd) {
  fds_.push_back(std::move(fd));
  return static_cast<PlanFd>(fds_.size()) - 1;
}

PlanBuilder::Step& PlanBuilder::Add(PlanStep step) {
  Step& added = steps_.emplace_back();
  added.record = {};
  added.record.step = static_cast<uint16_t>(step);
  added.record.fd = kNoPlanFd;
  return added;
}

bool PlanBuilder::Has(PlanStep step) const {
  return std::any_of(steps_.begin(), steps_.end(), [step](const Step& added) {
    return added.record.step == static_cast<uint16_t>(step);
  });
}

void PlanBuilder::NewNamespaces(uint64_t clone_flags) {
  if ((clone_flags & ~kNamespaceFlags) != 0 || (clone_flags & CLONE_NEWUSER) != 0) {
    error_.Update(absl::InvalidArgumentError("plan: not a namespace that can be made new"));
  }
  header_.clone_flags |= clone_flags & ~uint64_t{CLONE_NEWCGROUP};
  if ((clone_flags & CLONE_NEWCGROUP) != 0) Add(PlanStep::kUnshare).record.a = CLONE_NEWCGROUP;
}

void PlanBuilder::JoinNamespace(PlanFd ns, uint64_t clone_flag) {
  Step& step = Add(PlanStep::kJoinNamespace);
  step.record.fd = ns;
  step.record.a = clone_flag;
  if ((clone_flag & CLONE_NEWPID) != 0 && !Has(PlanStep::kSecondClone)) {
    Add(PlanStep::kSecondClone);
  }
}

void PlanBuilder::JoinProcess(PlanFd pidfd, uint64_t clone_flags) {
  JoinNamespace(pidfd, clone_flags);
}

void PlanBuilder::CloneIntoCgroup(PlanFd v2_directory) { header_.cgroup_fd = v2_directory; }

void PlanBuilder::JoinCgroup(PlanFd cgroup_procs) {
  Add(PlanStep::kJoinCgroup).record.fd = cgroup_procs;
}

void PlanBuilder::SetHostPropagation(uint64_t flags) {
  Add(PlanStep::kSetPropagation).record.a = flags;
}

void PlanBuilder::Root(PlanFd mount) { Add(PlanStep::kRoot).record.fd = mount; }

void PlanBuilder::ReadonlyRoot() { Add(PlanStep::kReadonlyRoot); }

void PlanBuilder::RootPropagation(uint64_t flags) {
  Add(PlanStep::kRootPropagation).record.a = flags;
}

void PlanBuilder::Mount(const FilesystemMount& mount) {
  // One that is looked up leaves the directory.
  if (Here(mount.target) == 0) LeaveFresh();
  Step& step = Add(PlanStep::kMount);
  step.record.a = mount.flags;
  step.record.c = mount.propagation;
  step.record.flags = static_cast<uint16_t>(
      (mount.copy_up ? kPlanCopyUp : 0) | (mount.keep_mode ? kPlanKeepMode : 0) |
      (mount.optional ? kPlanOptional : 0) | Here(mount.target));
  step.text[0] = mount.type;
  step.text[1] = mount.target;
  step.text[2] = mount.data;
  step.text[3] = mount.source.empty() ? mount.type : mount.source;
}

void PlanBuilder::Bind(const BindMount& bind) {
  Step& step = Add(PlanStep::kBind);
  step.record.fd = bind.tree;
  step.record.a = bind.set_attributes;
  step.record.b = bind.clear_attributes;
  step.record.c = bind.propagation;
  step.record.flags =
      static_cast<uint16_t>((bind.is_file ? kPlanFile : 0) | (bind.recursive ? kPlanRecursive : 0) |
                            (bind.optional ? kPlanOptional : 0));
  step.text[1] = bind.target;
}

void PlanBuilder::Device(const DeviceNode& device) {
  Step& step = Add(PlanStep::kDevice);
  step.record.a = device.mode;
  step.record.b = makedev(device.major, device.minor);
  step.record.c = uint64_t{device.uid} << 32 | device.gid;
  step.record.flags = Here(device.path);
  step.text[1] = device.path;
}

void PlanBuilder::Symlink(absl::string_view points_to, absl::string_view path) {
  Step& step = Add(PlanStep::kSymlink);
  step.record.flags = Here(path);
  step.text[0] = std::string(points_to);
  step.text[1] = std::string(path);
}

void PlanBuilder::MakeDirectory(absl::string_view path, uint32_t mode) {
  Step& step = Add(PlanStep::kMakeDirectory);
  step.record.a = mode;
  step.text[1] = std::string(path);
}

void PlanBuilder::DefaultDevices() {
  struct Node {
    const char* path;
    uint32_t major;
    uint32_t minor;
  };
  for (const Node& node :
       {Node{"/dev/null", 1, 3}, Node{"/dev/zero", 1, 5}, Node{"/dev/full", 1, 7},
        Node{"/dev/random", 1, 8}, Node{"/dev/urandom", 1, 9}, Node{"/dev/tty", 5, 0}}) {
    Device({node.path, S_IFCHR | 0666, node.major, node.minor, 0, 0});
  }
  Symlink("/proc/self/fd", "/dev/fd");
  Symlink("/proc/self/fd/0", "/dev/stdin");
  Symlink("/proc/self/fd/1", "/dev/stdout");
  Symlink("/proc/self/fd/2", "/dev/stderr");
  // Only where the kernel has it, as runc does.
  if (access("/proc/kcore", F_OK) == 0) Symlink("/proc/kcore", "/dev/core");
  Symlink("pts/ptmx", "/dev/ptmx");
}

void PlanBuilder::EnterFresh() {
  if (steps_.empty() || steps_.back().record.step != static_cast<uint16_t>(PlanStep::kMount)) {
    error_.Update(
        absl::InvalidArgumentError("plan: only what was mounted just now can be entered"));
    return;
  }
  steps_.back().record.flags |= kPlanEnter;
  fresh_ = steps_.back().text[1];
}

void PlanBuilder::LeaveFresh() { fresh_.clear(); }

uint16_t PlanBuilder::Here(absl::string_view path) const {
  if (fresh_.empty() || !absl::ConsumePrefix(&path, fresh_)) return 0;
  const bool entry = absl::ConsumePrefix(&path, "/") && !path.empty() && path != "." &&
                     path != ".." && !absl::StrContains(path, '/');
  return entry ? kPlanHere : 0;
}

void PlanBuilder::MaskPath(absl::string_view path) {
  Add(PlanStep::kMaskPath).text[1] = std::string(path);
}

void PlanBuilder::ReadonlyPath(absl::string_view path) {
  Add(PlanStep::kReadonlyPath).text[1] = std::string(path);
}

void PlanBuilder::LoopbackUp() { Add(PlanStep::kLoopbackUp); }

void PlanBuilder::Hostname(absl::string_view name) {
  Add(PlanStep::kHostname).text[0] = std::string(name);
}

void PlanBuilder::Domainname(absl::string_view name) {
  Add(PlanStep::kDomainname).text[0] = std::string(name);
}

void PlanBuilder::Sysctl(absl::string_view key, absl::string_view value, bool optional) {
  Step& step = Add(PlanStep::kSysctl);
  std::string path(key);
  if (!absl::StrContains(path, '/')) std::replace(path.begin(), path.end(), '.', '/');
  step.text[0] = std::move(path);
  step.text[1] = std::string(value);
  step.record.flags = optional ? kPlanOptional : 0;
}

void PlanBuilder::OomScoreAdj(int value) {
  Add(PlanStep::kOomScoreAdj).record.a = static_cast<uint64_t>(int64_t{value});
}

void PlanBuilder::Rlimit(int resource, uint64_t soft, uint64_t hard, bool clamp) {
  Step& step = Add(PlanStep::kRlimit);
  step.record.a = static_cast<uint64_t>(resource);
  step.record.b = soft;
  step.record.c = hard;
  step.record.flags = clamp ? kPlanOptional : 0;
}

void PlanBuilder::SessionKeyring(absl::string_view name) {
  Step& step = Add(PlanStep::kSessionKeyring);
  step.text[0] = std::string(name);
  step.record.flags = kPlanOptional;  // kernels and sandboxes without keyrings
}

void PlanBuilder::OpenStdin() { header_.flags |= kPlanStdinPipe; }

void PlanBuilder::Terminal(const TerminalOptions& options) {
  header_.flags |= kPlanHasTty;
  Step& step = Add(PlanStep::kTty);
  step.record.a = uint64_t{options.rows} << 16 | options.columns;
  step.record.flags = options.console ? kPlanConsole : 0;
}

void PlanBuilder::PassStdio(PlanFd in, PlanFd out, PlanFd err) {
  header_.flags |= kPlanPassedStdio;
  header_.stdio_fd[0] = in;
  header_.stdio_fd[1] = out;
  header_.stdio_fd[2] = err;
}

void PlanBuilder::Spool(PlanFd file, const SpoolOptions& options) {
  header_.spool_fd = file;
  header_.spool_policy = static_cast<uint32_t>(options.policy);
  header_.spool_offset = options.offset;
  header_.spool_acked = options.acked;
  header_.spool_capacity = options.capacity_bytes;
}

void PlanBuilder::Umask(uint32_t mask) { Add(PlanStep::kUmask).record.a = mask; }

void PlanBuilder::WorkingDirectory(absl::string_view path, bool create) {
  if (create) Add(PlanStep::kWorkingDirectoryMake).text[1] = std::string(path);
  Add(PlanStep::kWorkingDirectory).text[1] = std::string(path);
}

void PlanBuilder::User(uint32_t uid, uint32_t gid, absl::Span<const uint32_t> groups) {
  Add(PlanStep::kStdioOwner).record.a = uid;
  Step& step = Add(PlanStep::kUser);
  step.record.a = uid;
  step.record.b = gid;
  step.blob.assign(reinterpret_cast<const char*>(groups.data()), groups.size() * sizeof(uint32_t));
}

void PlanBuilder::UserNamespace(PlanFd ns, uint32_t root_uid, uint32_t root_gid, uint32_t own_uid) {
  Step& owner = Add(PlanStep::kFileOwner);
  owner.record.a = root_uid;
  owner.record.b = root_gid;
  Add(PlanStep::kHostStdioOwner).record.a = own_uid;
  Add(PlanStep::kUserNamespace).record.fd = ns;
}

void PlanBuilder::Capabilities(const CapabilitySets& sets) {
  Add(PlanStep::kBoundingSet).record.a = sets.bounding;
  Step& step = Add(PlanStep::kCapabilities);
  step.record.a = sets.effective;
  step.record.b = sets.permitted;
  step.record.c = sets.inheritable;
  Add(PlanStep::kAmbient).record.a = sets.ambient;
}

void PlanBuilder::NoNewPrivileges() { Add(PlanStep::kNoNewPrivileges); }

void PlanBuilder::Seccomp(absl::string_view program, uint64_t filter_flags) {
  Step& step = Add(PlanStep::kSeccomp);
  step.record.a = filter_flags;
  step.blob = std::string(program);
}

void PlanBuilder::AddStrings(PlanStep kind, const std::vector<std::string>& strings) {
  Step& step = Add(kind);
  step.record.a = strings.size();
  for (const std::string& text : strings) {
    if (absl::StrContains(text, '\0')) {
      error_.Update(absl::InvalidArgumentError("plan: NUL in an argument or in the environment"));
    }
    step.blob.append(text);
    step.blob.push_back('\0');
  }
}

void PlanBuilder::Environment(const std::vector<std::string>& env) {
  AddStrings(PlanStep::kEnvironment, env);
}

void PlanBuilder::Arguments(const std::vector<std::string>& args, PlanFd program) {
  AddStrings(PlanStep::kExec, args);
  steps_.back().record.fd = program;
  if (args.empty()) error_.Update(absl::InvalidArgumentError("plan: no arguments"));
}

void PlanBuilder::Init() { header_.flags |= kPlanInit; }

absl::Status PlanBuilder::Check() const {
  if (!error_.ok()) return error_;
  auto bad = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("plan: ", what));
  };
  auto count = [this](PlanStep kind) {
    return std::count_if(steps_.begin(), steps_.end(), [kind](const Step& step) {
      return step.record.step == static_cast<uint16_t>(kind);
    });
  };
  if (count(PlanStep::kExec) != 1) return bad("needs its arguments exactly once");
  for (PlanStep once : {PlanStep::kEnvironment, PlanStep::kUser, PlanStep::kCapabilities,
                        PlanStep::kRoot, PlanStep::kTty, PlanStep::kWorkingDirectory}) {
    if (count(once) > 1) return bad(absl::StrCat(PlanStepName(once), " given twice"));
  }
  if (Has(PlanStep::kRoot) && (header_.clone_flags & CLONE_NEWNS) == 0) {
    return bad("a root needs a mount namespace of its own");
  }
  bool tty = (header_.flags & kPlanHasTty) != 0;
  bool passed = (header_.flags & kPlanPassedStdio) != 0;
  if (tty && passed) return bad("a terminal and passed standard streams exclude each other");
  if (passed && header_.spool_fd >= 0) return bad("passed standard streams have no spool");
  if (header_.spool_fd >= 0 && header_.spool_capacity < kMinSpoolBytes) {
    return bad("the spool's capacity is under 64 KiB");
  }
  if (steps_.size() > kMaxPlanSteps) return bad("too many steps");
  if (fds_.size() > kMaxPlanFds) {
    return bad(absl::StrCat("more than ", kMaxPlanFds, " descriptors"));
  }
  for (const Step& step : steps_) {
    for (const std::string& text : step.text) {
      if (absl::StrContains(text, '\0')) return bad("NUL in a path or name");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Plan> PlanBuilder::Build() {
  if (absl::Status status = Check(); !status.ok()) return status;
  if (Has(PlanStep::kRoot) && !Has(PlanStep::kSetPropagation)) {
    SetHostPropagation(MS_REC | MS_PRIVATE);
  }
  if (!Has(PlanStep::kOomScoreAdj)) {  // not the supervisor's own protection
    Step& step = Add(PlanStep::kOomScoreAdj);
    step.record.flags = kPlanOptional;
  }
  std::stable_sort(steps_.begin(), steps_.end(), [](const Step& left, const Step& right) {
    return left.record.step >> 8 < right.record.step >> 8;
  });
  size_t heap_start = sizeof(PlanHeader) + steps_.size() * sizeof(PlanStepRecord);
  std::string heap;
  for (Step& step : steps_) {
    for (int i = 0; i < 4; ++i) {
      if (step.text[i].empty()) continue;
      step.record.s[i] = static_cast<uint32_t>(heap_start + heap.size());
      heap.append(step.text[i].c_str(), step.text[i].size() + 1);
    }
    PadTo(&heap, 8);
    step.record.blob = static_cast<uint32_t>(heap_start + heap.size());
    step.record.blob_size = static_cast<uint32_t>(step.blob.size());
    heap.append(step.blob);
    if (heap.size() > kMaxPlanSizeBytes) {
      return absl::InvalidArgumentError("plan: arguments and environment are too large");
    }
  }
  heap.push_back('\0');
  header_.step_count = static_cast<uint32_t>(steps_.size());
  header_.fd_count = static_cast<uint32_t>(fds_.size());
  header_.size_bytes = static_cast<uint32_t>(heap_start + heap.size());
  Plan plan;
  plan.bytes.reserve(header_.size_bytes);
  plan.bytes.append(reinterpret_cast<const char*>(&header_), sizeof(header_));
  for (const Step& step : steps_) {
    plan.bytes.append(reinterpret_cast<const char*>(&step.record), sizeof(step.record));
  }
  plan.bytes.append(heap);
  plan.fds = std::move(fds_);
  PlanView view;
  if (plan.bytes.size() > kMaxPlanSizeBytes ||
      !view.Parse(plan.bytes.data(), plan.bytes.size(), header_.fd_count)) {
    return absl::InvalidArgumentError("plan: a step refers to a descriptor that was not added");
  }
  steps_.clear();
  fds_.clear();
  header_ = EmptyHeader();
  return plan;
}

}  // namespace slipway::agent
