#include "cli/attach.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>
#include <utility>

#include "base/os/file.h"
#include "base/rpc/status_conversion.h"
#include "base/status/errno_status.h"
#include "cli/terminal.h"

namespace slipway::cli {
namespace {

constexpr char kCtrlP = 16;
constexpr char kCtrlQ = 17;

sigset_t ForwardedSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH}) {
    sigaddset(&set, signal);
  }
  return set;
}

}  // namespace

bool DetachKeys::Feed(absl::string_view typed, std::string& out) {
  for (const char c : typed) {
    if (after_ctrl_p_) {
      after_ctrl_p_ = false;
      if (c == kCtrlQ) return true;
      out.push_back(kCtrlP);
    }
    if (c == kCtrlP) {
      after_ctrl_p_ = true;
    } else {
      out.push_back(c);
    }
  }
  return false;
}

absl::StatusOr<std::unique_ptr<AttachSession>> AttachSession::Connect(AttachOptions options,
                                                                      const Open& open) {
  std::unique_ptr<AttachSession> session(new AttachSession(std::move(options)));
  const sigset_t set = ForwardedSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  session->signals_.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  session->stop_.reset(eventfd(0, EFD_CLOEXEC));
  if (!session->signals_.ok() || !session->stop_.ok()) {
    return ErrnoStatus(errno, "make a signal descriptor");
  }
  session->stream_ = open(&session->context_);
  agent::v1::AttachRequest request;
  agent::v1::AttachStart* start = request.mutable_start();
  start->set_id(session->options_.id);
  start->set_stdin(session->options_.stdin_open);
  start->set_stdout(true);
  start->set_stderr(true);
  agent::v1::AttachResponse response;
  if (!session->stream_->Write(request) || !session->stream_->Read(&response) ||
      !response.has_ready()) {
    session->context_.TryCancel();
    const grpc::Status status = session->stream_->Finish();
    session->stream_.reset();
    return status.ok() ? absl::InternalError("attach: the stream did not begin with ready")
                       : FromGrpc(status);
  }
  return session;
}

AttachSession::~AttachSession() {
  if (stream_ == nullptr) return;
  context_.TryCancel();
  stream_->Finish();
}

// True when the person asked to detach or the stream is gone.
bool AttachSession::SendInput(absl::string_view typed) {
  agent::v1::AttachRequest request;
  if (options_.tty) {
    std::string rest;
    detached_ = keys_.Feed(typed, rest);
    if (rest.empty()) return detached_;
    request.set_stdin(std::move(rest));
  } else {
    request.set_stdin(std::string(typed));
  }
  return !stream_->Write(request) || detached_;
}

void AttachSession::HandleSignal() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGWINCH) {
      if (!options_.tty) continue;
      agent::v1::AttachRequest request;
      *request.mutable_resize() = WindowSize();
      stream_->Write(request);
    } else if (options_.on_signal) {
      options_.on_signal(signal);
    }
  }
}

void AttachSession::CopyInput() {
  char buffer[32768];
  pollfd polled[3] = {
      {.fd = stop_.get(), .events = POLLIN, .revents = 0},
      {.fd = signals_.get(), .events = POLLIN, .revents = 0},
      {.fd = options_.stdin_open ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
  while (true) {
    if (poll(polled, 3, -1) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    if (polled[1].revents != 0) HandleSignal();
    if (polled[2].revents == 0) continue;
    const ssize_t n = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (n > 0) {
      if (!SendInput({buffer, static_cast<size_t>(n)})) continue;
      if (detached_) context_.TryCancel();
      return;
    }
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    agent::v1::AttachRequest request;
    request.set_close_stdin(true);
    stream_->Write(request);
    polled[2].fd = -1;
  }
}

absl::StatusOr<AttachOutcome> AttachSession::Run() {
  std::thread input([this] { CopyInput(); });
  agent::v1::AttachResponse response;
  bool ended = false;
  while (stream_->Read(&response)) {
    if (response.has_output()) {
      const bool is_stderr = response.output().stream() == common::v1::STD_STREAM_STDERR;
      const absl::Status written =
          WriteAll(is_stderr ? STDERR_FILENO : STDOUT_FILENO, response.output().data(), "output");
      if (!written.ok()) break;
    } else if (response.has_end()) {
      exit_code_ = response.end().exit_code();
      ended = true;
    }
  }
  const uint64_t one = 1;
  if (write(stop_.get(), &one, sizeof(one)) < 0) return ErrnoStatus(errno, "stop reading input");
  input.join();
  if (!ended) context_.TryCancel();
  const grpc::Status status = stream_->Finish();
  stream_.reset();
  if (detached_) return AttachOutcome::kDetached;
  if (ended || status.ok()) return AttachOutcome::kEnded;
  return FromGrpc(status);
}

}  // namespace slipway::cli
