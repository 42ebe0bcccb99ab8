#include "gateway/grpc/forwarded_call.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <atomic>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace slipway::gateway {
namespace {

using grpc::ByteBuffer;

absl::string_view View(grpc::string_ref text) {
  return absl::string_view(text.data(), text.size());
}

// What gRPC itself writes on every hop.
bool IsHopHeader(absl::string_view key) {
  return absl::StartsWith(key, ":") || absl::StartsWith(key, "grpc-") || key == "user-agent" ||
         key == "content-type" || key == "te" || key == "host";
}

class Call;

class Behind : public grpc::ClientBidiReactor<ByteBuffer, ByteBuffer> {
 public:
  explicit Behind(Call* call) : call_(call) {}
  void OnReadInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  Call* const call_;
};

// Requests go: read in front, write behind, read in front... Answers go the other way alike, so
// that one message at most is held in each direction.
class Call : public grpc::ServerBidiReactor<ByteBuffer, ByteBuffer> {
 public:
  Call(grpc::GenericStub& stub, const std::string& path, grpc::CallbackServerContext* front)
      : front_(front), behind_(this) {
    context_.set_deadline(front->deadline());
    for (const auto& [key, value] : front->client_metadata()) {
      if (IsHopHeader(View(key))) continue;
      context_.AddMetadata(std::string(key.data(), key.size()),
                           std::string(value.data(), value.size()));
    }
    stub.PrepareBidiStreamingCall(&context_, path, grpc::StubOptions(), &behind_);
    // The front side starts operations outside of the back side's callbacks.
    behind_.AddHold();
    behind_.StartCall();
    StartRead(&request_);
  }

  // --- In front.
  void OnReadDone(bool ok) override {
    if (!Enter()) return;
    if (ok) {
      behind_.StartWrite(&request_);
    } else {
      // Half-closed, or gone: OnCancel tells.
      behind_.StartWritesDone();
    }
    Leave();
  }

  void OnWriteDone(bool ok) override {
    if (!Enter()) return;
    if (ok) {
      behind_.StartRead(&answer_);
    } else {
      context_.TryCancel();
      End();
    }
    Leave();
  }

  void OnCancel() override { context_.TryCancel(); }

  void OnDone() override { Unreference(); }

  // --- Behind.
  void BehindHasMetadata(bool ok) {
    if (ok) {
      for (const auto& [key, value] : context_.GetServerInitialMetadata()) {
        if (IsHopHeader(View(key))) continue;
        front_->AddInitialMetadata(std::string(key.data(), key.size()),
                                   std::string(value.data(), value.size()));
      }
      // A client that waits for the metadata of a silent stream gets them now.
      StartSendInitialMetadata();
    }
    // Not earlier: an answer must not overtake the metadata.
    behind_.StartRead(&answer_);
  }

  void BehindRead(bool ok) {
    if (ok) {
      StartWrite(&answer_);
      return;
    }
    if (!Enter()) return;
    End();
    Leave();
  }

  // A write that fails means that the call is over: the answers' end tells.
  void BehindWrote(bool ok) {
    if (ok) StartRead(&request_);
  }

  void BehindDone(const grpc::Status& status) {
    for (const auto& [key, value] : context_.GetServerTrailingMetadata()) {
      if (IsHopHeader(View(key))) continue;
      front_->AddTrailingMetadata(std::string(key.data(), key.size()),
                                  std::string(value.data(), value.size()));
    }
    Finish(status);
    Unreference();
  }

 private:
  // The call behind may be used between Enter() and Leave() only: false when it has ended. The
  // service may end it while the client could still send.
  bool Enter() {
    absl::MutexLock lock(&mu_);
    if (ended_) return false;
    ++users_;
    return true;
  }

  void End() {
    absl::MutexLock lock(&mu_);
    ended_ = true;
  }

  void Leave() {
    {
      absl::MutexLock lock(&mu_);
      if (--users_ > 0 || !ended_) return;
    }
    behind_.RemoveHold();
  }

  void Unreference() {
    if (references_.fetch_sub(1) == 1) delete this;
  }

  grpc::CallbackServerContext* const front_;
  grpc::ClientContext context_;
  Behind behind_;
  ByteBuffer request_;
  ByteBuffer answer_;
  absl::Mutex mu_;
  int users_ ABSL_GUARDED_BY(mu_) = 0;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  std::atomic<int> references_ = 2;
};

void Behind::OnReadInitialMetadataDone(bool ok) { call_->BehindHasMetadata(ok); }
void Behind::OnReadDone(bool ok) { call_->BehindRead(ok); }
void Behind::OnWriteDone(bool ok) { call_->BehindWrote(ok); }
void Behind::OnDone(const grpc::Status& status) { call_->BehindDone(status); }

}  // namespace

grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>* ForwardCall(grpc::GenericStub& stub,
                                                             const std::string& path,
                                                             grpc::CallbackServerContext* context) {
  return new Call(stub, path, context);
}

}  // namespace slipway::gateway
