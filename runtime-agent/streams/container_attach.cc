#include "runtime-agent/streams/container_attach.h"

#include <algorithm>
#include <utility>

#include "runtime-agent/spool/reader.h"

namespace slipway::agent {

ContainerAttach::ContainerAttach(Target target, const AttachOptions& options,
                                 std::shared_ptr<StreamPeer> peer)
    : target_(std::move(target)), options_(options), peer_(std::move(peer)) {}

std::shared_ptr<ContainerAttach> ContainerAttach::Attach(Target target,
                                                         const AttachOptions& options,
                                                         std::shared_ptr<StreamPeer> peer) {
  IoLoop* const loop = target.loop;
  std::shared_ptr<ContainerAttach> attach(
      new ContainerAttach(std::move(target), options, std::move(peer)));
  // Where the output begins is fixed here, not when the loop comes to it.
  const bool running = attach->target_.output->running();
  attach->run_ = attach->target_.output->runs() + (running ? 0 : 1);
  attach->reader_ = Output::AddReader(attach->target_.output, attach->target_.output->Committed());
  loop->Post([attach] { attach->Begin(); });
  return attach;
}

void ContainerAttach::Begin() {
  if (peer_ == nullptr) return;
  input_ = std::make_unique<InputQueue>(
      target_.loop,
      [this] {
        if (peer_ == nullptr) return;
        peer_->WantInput();
        if (input_ended_) Pump();
      },
      [this] {
        if (target_.stdin_once && !target_.tty) target_.close_input();
      });
  if (!options_.input || !target_.open_stdin) input_->Drop();
  if (target_.output->runs() == run_) input_->SetTarget(target_.input());
  peer_->Ready(target_.tty);
  peer_->WantInput();
}

void ContainerAttach::Progress() {
  if (peer_ == nullptr) return;
  if (input_ != nullptr && !input_->has_target() && target_.output->running() &&
      target_.output->runs() == run_) {
    input_->SetTarget(target_.input());
  }
  Pump();
}

void ContainerAttach::PeerReady() {
  peer_ready_ = true;
  Pump();
}

void ContainerAttach::Input(std::string data) {
  if (input_ != nullptr) input_->Push(std::move(data));
}

void ContainerAttach::CloseInput() {
  input_ended_ = true;
  if (input_ != nullptr && !target_.tty && target_.stdin_once) input_->Close();
  if (peer_ != nullptr) peer_->WantInput();
  Pump();
}

void ContainerAttach::Resize(uint32_t rows, uint32_t columns) {
  target_.resize(rows, columns);
  if (peer_ != nullptr) peer_->WantInput();
}

void ContainerAttach::PeerGone() {
  if (options_.input && target_.open_stdin && target_.stdin_once && !target_.tty &&
      target_.output->running() && target_.output->runs() == run_) {
    target_.close_input();
  }
  Finish();
}

void ContainerAttach::Finish() {
  if (peer_ == nullptr) return;
  peer_ = nullptr;
  input_ = nullptr;
  reader_ = nullptr;
  target_.done();
}

bool ContainerAttach::SendSome(uint64_t limit) {
  SpoolReader reader(target_.output->fd(), reader_->offset());
  std::string data;
  uint8_t stream = 0;
  while (data.size() < kBatchBytes) {
    auto next = reader.Next(limit);
    if (!next.ok()) {
      // Trimmed away from under a client that was too slow: it goes on with what is there.
      if (data.empty()) reader_->Advance(std::max(target_.output->trimmed(), limit));
      break;
    }
    if (!next->has_value()) break;
    SpoolRecord& record = **next;
    const bool is_data =
        record.type == SpoolRecordType::kStdout || record.type == SpoolRecordType::kStderr;
    if (is_data && Wanted(record.stream)) {
      if (stream != 0 && record.stream != stream) break;
      stream = record.stream;
      if (data.empty()) {
        data = std::move(record.data);
      } else {
        data.append(record.data);
      }
    }
    reader_->Advance(record.next_offset);
  }
  if (data.empty()) return false;
  peer_ready_ = false;
  peer_->Output(stream, std::move(data));
  return true;
}

void ContainerAttach::Pump() {
  if (peer_ == nullptr || !peer_ready_) return;
  if (input_ended_ && !input_done_told_ && input_ != nullptr && input_->idle()) {
    input_done_told_ = true;
    peer_ready_ = false;
    return peer_->InputDone();
  }
  const auto end = target_.output->EndOf(run_);
  if (!end.has_value() && target_.output->runs() < run_) return;  // did not begin yet
  const bool forgotten = !end.has_value() && target_.output->runs() > run_;
  const uint64_t committed = target_.output->Committed();
  const uint64_t limit = end.has_value() ? std::min(end->offset, committed) : committed;
  if (!forgotten && SendSome(limit)) return;
  if (!end.has_value() && !forgotten) return;
  peer_->End(end.has_value() ? end->exit_code : 0);
  Finish();
}

}  // namespace slipway::agent
