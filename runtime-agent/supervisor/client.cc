#include "runtime-agent/supervisor/client.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/supervisor/client_connection.h"

namespace slipway::agent {

namespace {

constexpr char kFailurePayload[] = "slipway.agent.SpawnFailure";

WireRequest MakeRequest(WireOp op, absl::string_view id = "") {
  WireRequest request = {};
  request.op = static_cast<uint16_t>(op);
  memcpy(request.id, id.data(), std::min(id.size(), kIdCapacity - 1));
  return request;
}

absl::Status CheckId(absl::string_view id) {
  if (!id.empty() && id.size() < kIdCapacity && id.find('\0') == absl::string_view::npos) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("supervisor: bad id \"", id, "\""));
}

absl::Status ReplyStatus(const SupervisorReply& reply, absl::string_view what) {
  switch (reply.reply.error) {
    case 0:
      return absl::OkStatus();
    case EBUSY:
      return absl::FailedPreconditionError(absl::StrCat(what, ": not in the state for that"));
    default:
      return ErrnoStatus(reply.reply.error, what);
  }
}

absl::Status SpawnStatus(const SupervisorReply& reply, absl::string_view id) {
  if (reply.reply.error == 0 || reply.reply.step == 0) {
    return ReplyStatus(reply, absl::StrCat("spawn ", id));
  }
  auto step = static_cast<PlanStep>(reply.reply.step);
  std::string detail(reply.reply.detail, strnlen(reply.reply.detail, kDetailCapacity));
  std::string what = PlanStepName(step);
  if (!detail.empty()) absl::StrAppend(&what, " ", detail);
  absl::Status status = ErrnoStatus(reply.reply.error, what);
  status.SetPayload(kFailurePayload, absl::Cord(absl::StrCat(reply.reply.step, " ",
                                                             reply.reply.error, " ", detail)));
  return status;
}

EntryFds TakeFds(SupervisorReply* reply) {
  EntryFds fds;
  size_t next = 0;
  auto take = [&](FdRole role) {
    bool there = (reply->reply.fd_mask >> static_cast<uint32_t>(role) & 1) != 0;
    return there && next < reply->fds.size() ? std::move(reply->fds[next++]) : UniqueFd();
  };
  fds.pidfd = take(FdRole::kPidfd);
  fds.stdin_write = take(FdRole::kStdin);
  fds.pty_master = take(FdRole::kPtyMaster);
  fds.spool = take(FdRole::kSpool);
  fds.stdout_read = take(FdRole::kStdout);
  fds.stderr_read = take(FdRole::kStderr);
  fds.pty_pipe_write = take(FdRole::kPtyPipeWrite);
  return fds;
}

absl::StatusOr<SpawnResult> ToSpawnResult(absl::StatusOr<SupervisorReply> reply,
                                          absl::string_view id) {
  RETURN_IF_ERROR(reply.status());
  RETURN_IF_ERROR(SpawnStatus(*reply, id));
  SpawnResult result;
  result.entry = ToEntryInfo(reply->reply.entry);
  result.fds = TakeFds(&*reply);
  return result;
}

absl::StatusOr<UniqueFd> SealedPlan(const std::string& bytes) {
  UniqueFd memfd(memfd_create("slipway-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd.ok()) return ErrnoStatus(errno, "create memfd for a plan");
  size_t written = 0;
  while (written < bytes.size()) {
    ssize_t count = write(memfd.get(), bytes.data() + written, bytes.size() - written);
    if (count < 0) return ErrnoStatus(errno, "write plan");
    written += static_cast<size_t>(count);
  }
  if (fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) !=
      0) {
    return ErrnoStatus(errno, "seal plan");
  }
  return memfd;
}

}  // namespace

int EntryInfo::ExitCode() const {
  if (WIFSIGNALED(wait_status)) return 128 + WTERMSIG(wait_status);
  return WEXITSTATUS(wait_status);
}

std::optional<SpawnFailure> GetSpawnFailure(const absl::Status& status) {
  absl::optional<absl::Cord> payload = status.GetPayload(kFailurePayload);
  if (!payload.has_value()) return std::nullopt;
  std::string text(*payload);
  char* rest = nullptr;
  SpawnFailure failure;
  failure.step = static_cast<PlanStep>(strtoul(text.c_str(), &rest, 10));
  failure.error = static_cast<int>(strtol(rest, &rest, 10));
  failure.detail = *rest == ' ' ? rest + 1 : rest;
  return failure;
}

SupervisorClient::SupervisorClient(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)) {}

SupervisorClient::~SupervisorClient() { Stop(); }

void SupervisorClient::Stop() { connection_->Stop(); }

absl::StatusOr<std::unique_ptr<SupervisorClient>> SupervisorClient::Connect(Options options) {
  std::string path = options.socket_path;
  auto connection = std::make_shared<Connection>(std::move(options));
  if (!connection->Start()) {
    connection->Stop();
    return absl::UnavailableError(absl::StrCat("no supervisor at ", path));
  }
  return std::unique_ptr<SupervisorClient>(new SupervisorClient(std::move(connection)));
}

void SupervisorClient::SpawnAsync(SpawnRequest request, absl::Duration timeout,
                                  std::function<void(absl::StatusOr<SpawnResult>)> done) {
  absl::Status status = CheckId(request.id);
  std::vector<UniqueFd> fds;
  if (status.ok()) {
    auto memfd = SealedPlan(request.plan.bytes);
    status = memfd.status();
    if (memfd.ok()) fds.push_back(*std::move(memfd));
  }
  for (size_t i = 0; i < request.plan.fds.size(); ++i) {
    if (status.ok() && !request.plan.fds[i].ok()) {
      status =
          absl::InvalidArgumentError(absl::StrCat("plan: descriptor ", i, " is not filled in"));
    }
    fds.push_back(std::move(request.plan.fds[i]));
  }
  WireRequest wire = MakeRequest(WireOp::kSpawn, request.id);
  wire.kind = static_cast<uint32_t>(request.kind);
  wire.flags = request.hold ? uint32_t{kSpawnHold} : 0;
  if (status.ok() && getrandom(&wire.arg0, sizeof(wire.arg0), 0) != sizeof(wire.arg0)) {
    status = ErrnoStatus(errno, "getrandom");
  }
  if (!status.ok()) return done(status);
  connection_->Call(
      wire, std::move(fds), timeout,
      [id = request.id, done = std::move(done)](absl::StatusOr<SupervisorReply> reply) {
        done(ToSpawnResult(std::move(reply), id));
      });
}

absl::StatusOr<SpawnResult> SupervisorClient::Spawn(SpawnRequest request, absl::Duration timeout) {
  absl::Mutex mutex;
  bool arrived = false;
  absl::StatusOr<SpawnResult> result = absl::UnknownError("no reply");
  SpawnAsync(std::move(request), timeout, [&](absl::StatusOr<SpawnResult> spawned) {
    absl::MutexLock lock(&mutex);
    result = std::move(spawned);
    arrived = true;
  });
  absl::MutexLock lock(&mutex);
  mutex.Await(absl::Condition(&arrived));
  return result;
}

absl::StatusOr<SpawnResult> SupervisorClient::Start(absl::string_view id, absl::Duration timeout) {
  RETURN_IF_ERROR(CheckId(id));
  return ToSpawnResult(connection_->CallAndWait(MakeRequest(WireOp::kStart, id), {}, timeout), id);
}

absl::StatusOr<std::vector<EntryInfo>> SupervisorClient::List(absl::Duration timeout) {
  std::vector<EntryInfo> entries;
  WireRequest request = MakeRequest(WireOp::kList);
  do {
    ASSIGN_OR_RETURN(SupervisorReply reply, connection_->CallAndWait(request, {}, timeout));
    for (size_t at = 0; at + sizeof(WireEntry) <= reply.extra.size(); at += sizeof(WireEntry)) {
      WireEntry entry;
      memcpy(&entry, reply.extra.data() + at, sizeof(entry));
      entries.push_back(ToEntryInfo(entry));
    }
    request.arg0 = reply.reply.arg0;
  } while (request.arg0 != 0);
  return entries;
}

absl::StatusOr<EntryFds> SupervisorClient::GetFds(absl::string_view id, absl::Duration timeout) {
  RETURN_IF_ERROR(CheckId(id));
  WireRequest request = MakeRequest(WireOp::kGetFds, id);
  request.arg0 = kPublicFdMask;
  ASSIGN_OR_RETURN(SupervisorReply reply, connection_->CallAndWait(request, {}, timeout));
  RETURN_IF_ERROR(ReplyStatus(reply, absl::StrCat("get descriptors of ", id)));
  return TakeFds(&reply);
}

absl::Status SupervisorClient::Restore(absl::string_view id, EntryFds fds, absl::Duration timeout) {
  RETURN_IF_ERROR(CheckId(id));
  WireRequest request = MakeRequest(WireOp::kRestore, id);
  std::vector<UniqueFd> sent;
  const auto add = [&](FdRole role, UniqueFd fd) {
    if (!fd.ok()) return;
    request.arg0 |= uint64_t{1} << static_cast<uint32_t>(role);
    sent.push_back(std::move(fd));
  };
  // In the order of the roles.
  add(FdRole::kPidfd, std::move(fds.pidfd));
  add(FdRole::kStdin, std::move(fds.stdin_write));
  add(FdRole::kPtyMaster, std::move(fds.pty_master));
  add(FdRole::kSpool, std::move(fds.spool));
  add(FdRole::kStdout, std::move(fds.stdout_read));
  add(FdRole::kStderr, std::move(fds.stderr_read));
  add(FdRole::kPtyPipeWrite, std::move(fds.pty_pipe_write));
  ASSIGN_OR_RETURN(SupervisorReply reply,
                   connection_->CallAndWait(request, std::move(sent), timeout));
  return ReplyStatus(reply, absl::StrCat("restore ", id));
}

absl::Status SupervisorClient::CloseStdin(absl::string_view id, absl::Duration timeout) {
  RETURN_IF_ERROR(CheckId(id));
  ASSIGN_OR_RETURN(SupervisorReply reply,
                   connection_->CallAndWait(MakeRequest(WireOp::kCloseStdin, id), {}, timeout));
  return ReplyStatus(reply, absl::StrCat("close stdin of ", id));
}

absl::Status SupervisorClient::Forget(absl::string_view id, absl::Duration timeout) {
  RETURN_IF_ERROR(CheckId(id));
  ASSIGN_OR_RETURN(SupervisorReply reply,
                   connection_->CallAndWait(MakeRequest(WireOp::kForget, id), {}, timeout));
  // Gone already: also what a repetition after a lost reply meets.
  if (reply.reply.error == ENOENT) return absl::OkStatus();
  return ReplyStatus(reply, absl::StrCat("forget ", id));
}

absl::Status SupervisorClient::Ack(absl::string_view id, uint64_t offset) {
  RETURN_IF_ERROR(CheckId(id));
  connection_->Ack(std::string(id), offset);
  return absl::OkStatus();
}

absl::Status SupervisorClient::StorePut(absl::string_view name, int fd, absl::Duration timeout) {
  RETURN_IF_ERROR(CheckId(name));
  std::vector<UniqueFd> fds;
  fds.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!fds[0].ok()) return ErrnoStatus(errno, absl::StrCat("store ", name));
  ASSIGN_OR_RETURN(
      SupervisorReply reply,
      connection_->CallAndWait(MakeRequest(WireOp::kStorePut, name), std::move(fds), timeout));
  return ReplyStatus(reply, absl::StrCat("store ", name));
}

absl::StatusOr<UniqueFd> SupervisorClient::StoreGet(absl::string_view name,
                                                    absl::Duration timeout) {
  RETURN_IF_ERROR(CheckId(name));
  ASSIGN_OR_RETURN(SupervisorReply reply,
                   connection_->CallAndWait(MakeRequest(WireOp::kStoreGet, name), {}, timeout));
  RETURN_IF_ERROR(ReplyStatus(reply, absl::StrCat("get stored ", name)));
  if (reply.fds.size() != 1) return absl::InternalError("supervisor sent no descriptor");
  return std::move(reply.fds[0]);
}

absl::Status SupervisorClient::StoreDrop(absl::string_view name, absl::Duration timeout) {
  RETURN_IF_ERROR(CheckId(name));
  ASSIGN_OR_RETURN(SupervisorReply reply,
                   connection_->CallAndWait(MakeRequest(WireOp::kStoreDrop, name), {}, timeout));
  if (reply.reply.error == ENOENT) return absl::OkStatus();
  return ReplyStatus(reply, absl::StrCat("drop stored ", name));
}

absl::StatusOr<std::vector<std::string>> SupervisorClient::StoreList(absl::Duration timeout) {
  std::vector<std::string> names;
  WireRequest request = MakeRequest(WireOp::kStoreList);
  do {
    ASSIGN_OR_RETURN(SupervisorReply reply, connection_->CallAndWait(request, {}, timeout));
    for (size_t at = 0; at + kIdCapacity <= reply.extra.size(); at += kIdCapacity) {
      names.emplace_back(reply.extra.data() + at, strnlen(reply.extra.data() + at, kIdCapacity));
    }
    request.arg0 = reply.reply.arg0;
  } while (request.arg0 != 0);
  return names;
}

absl::StatusOr<SupervisorStats> SupervisorClient::Stats(absl::Duration timeout) {
  ASSIGN_OR_RETURN(SupervisorReply reply,
                   connection_->CallAndWait(MakeRequest(WireOp::kStats), {}, timeout));
  SupervisorStats stats;
  stats.supervisor_pid = reply.reply.entry.pid;
  stats.keeper_pid = static_cast<int>(reply.reply.entry.slot);
  stats.supervisor_starts = reply.reply.entry.incarnation;
  stats.entries = reply.reply.arg0;
  stats.running = reply.reply.arg1;
  stats.stored_fds = reply.reply.arg2;
  stats.open_fds = reply.reply.arg3;
  return stats;
}

absl::Status SupervisorClient::Upgrade(const std::string& path, absl::Duration timeout) {
  std::vector<UniqueFd> fds;
  fds.emplace_back(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fds[0].ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  ASSIGN_OR_RETURN(SupervisorReply reply, connection_->CallAndWait(MakeRequest(WireOp::kUpgrade),
                                                                   std::move(fds), timeout));
  return ReplyStatus(reply, absl::StrCat("upgrade the supervisor to ", path));
}

absl::Status SupervisorClient::Shutdown(absl::Duration timeout) {
  ASSIGN_OR_RETURN(SupervisorReply reply,
                   connection_->CallAndWait(MakeRequest(WireOp::kShutdown), {}, timeout));
  return ReplyStatus(reply, "shut the supervisor down");
}

absl::StatusOr<SlotStatus> SupervisorClient::GetSlot(uint32_t slot, uint64_t incarnation) const {
  return connection_->GetSlot(slot, incarnation);
}

}  // namespace slipway::agent
