#include "runtime-agent/streams/exec_streams.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace slipway::agent {

ExecStreams::ExecStreams(IoLoop* loop, ExecDescriptors descriptors)
    : loop_(loop), descriptors_(std::move(descriptors)) {
  if (descriptors_.terminal) {
    sources_[0] = {.fd = descriptors_.input->get(), .stream = 1, .ended = false};
    return;
  }
  if (descriptors_.standard_out.ok()) {
    sources_[0] = {.fd = descriptors_.standard_out.get(), .stream = 1, .ended = false};
  }
  if (descriptors_.standard_error.ok()) {
    sources_[1] = {.fd = descriptors_.standard_error.get(), .stream = 2, .ended = false};
  }
}

std::shared_ptr<ExecStreams> ExecStreams::Create(IoLoop* loop, ExecDescriptors descriptors,
                                                 bool discard) {
  std::shared_ptr<ExecStreams> streams(new ExecStreams(loop, std::move(descriptors)));
  const auto begin_discarding = [streams] {
    if (streams->attached_once_) return;
    streams->discard_ = true;
    streams->Pump();
  };
  if (discard) {
    loop->Post(begin_discarding);
  } else {
    loop->Post([loop, begin_discarding] { loop->After(kAttachPatience, begin_discarding); });
  }
  return streams;
}

void ExecStreams::Exited(int exit_code) {
  loop_->Post([self = shared_from_this(), exit_code] {
    if (self->exit_code_.has_value()) return;
    self->exit_code_ = exit_code;
    self->Pump();
  });
}

void ExecStreams::Attach(std::shared_ptr<StreamPeer> peer, const AttachOptions& options) {
  loop_->Post([self = shared_from_this(), peer = std::move(peer), options] {
    if (self->attached_once_) {
      peer->Fail(absl::FailedPreconditionError("another client is attached to this exec"));
      return;
    }
    self->attached_once_ = true;
    self->discard_ = false;
    self->peer_ = peer;
    self->options_ = options;
    self->input_ = std::make_unique<InputQueue>(
        self->loop_, [peer] { peer->WantInput(); },
        [raw = self.get()] {
          // A terminal is not closed by the end of input.
          if (!raw->descriptors_.terminal) raw->descriptors_.input.reset();
        });
    if (options.input) self->input_->SetTarget(self->descriptors_.input);
    if (!self->input_->has_target()) self->input_->Drop();
    peer->Ready(self->descriptors_.terminal);
    peer->WantInput();
  });
}

void ExecStreams::PeerReady() {
  peer_ready_ = true;
  if (ended_ && peer_ != nullptr) {
    // It was discarded before this client came.
    peer_->End(*exit_code_);
    peer_ = nullptr;
    return;
  }
  Pump();
}

void ExecStreams::Input(std::string data) {
  if (input_ != nullptr) input_->Push(std::move(data));
}

void ExecStreams::CloseInput() {
  if (input_ == nullptr) return;
  if (descriptors_.terminal) {
    if (peer_ != nullptr) peer_->WantInput();
    return;
  }
  input_->Close();
  if (peer_ != nullptr) peer_->WantInput();
}

void ExecStreams::Resize(uint32_t rows, uint32_t columns) {
  if (descriptors_.terminal && descriptors_.input != nullptr) {
    winsize size{};
    size.ws_row = static_cast<unsigned short>(std::min<uint32_t>(rows, 0xffff));
    size.ws_col = static_cast<unsigned short>(std::min<uint32_t>(columns, 0xffff));
    ioctl(descriptors_.input->get(), TIOCSWINSZ, &size);
  }
  if (peer_ != nullptr) peer_->WantInput();
}

// The process goes on without its client: its input ends, its output is dropped.
void ExecStreams::PeerGone() {
  peer_ = nullptr;
  input_ = nullptr;
  if (!descriptors_.terminal) descriptors_.input.reset();
  discard_ = true;
  Pump();
}

void ExecStreams::WatchSource(Source& source) {
  if (source.watched || source.ended) return;
  source.watched = true;
  loop_->WatchOnce(source.fd, EPOLLIN, [self = shared_from_this(), &source] {
    source.watched = false;
    self->Pump();
  });
}

// Whether something was read (or an end was found).
bool ExecStreams::ReadFrom(Source& source) {
  if (source.ended) return false;
  std::string data(kReadBytes, '\0');
  const ssize_t got = read(source.fd, data.data(), data.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    // End of file, or EIO: nobody has the terminal open.
    if (source.watched) loop_->Unwatch(source.fd);
    source.watched = false;
    source.ended = true;
    return true;
  }
  const bool wanted = source.stream == 1 ? options_.standard_out : options_.standard_error;
  if (peer_ == nullptr || !wanted) return true;
  data.resize(static_cast<size_t>(got));
  peer_ready_ = false;
  peer_->Output(source.stream, std::move(data));
  return true;
}

void ExecStreams::Pump() {
  if (ended_) return;
  bool progress = true;
  while (progress && MayRead()) {
    progress = ReadFrom(sources_[turn_]);
    turn_ = 1 - turn_;
    if (!progress && MayRead()) {
      progress = ReadFrom(sources_[turn_]);
    }
  }
  if (!MayRead()) return;
  // With the process gone, what is not in the pipes now comes from descendants: not waited for.
  if (exit_code_.has_value()) {
    if (peer_ != nullptr) peer_->End(*exit_code_);
    CloseAll();
    return;
  }
  for (Source& source : sources_) WatchSource(source);
}

void ExecStreams::CloseAll() {
  ended_ = true;
  for (Source& source : sources_) {
    if (source.watched) loop_->Unwatch(source.fd);
    source.watched = false;
    source.ended = true;
  }
  input_ = nullptr;
  peer_ = nullptr;
  descriptors_ = ExecDescriptors{};
}

}  // namespace slipway::agent
