#include "gateway/buildkit/image_export.h"

#include <grpcpp/generic/generic_stub.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "buildkit/session.grpc.pb.h"
#include "gateway/buildkit/copy_sink.h"
#include "gateway/buildkit/file_sync.h"
#include "gateway/buildkit/tar_sink.h"
#include "gateway/buildkit/tar_text.h"

namespace slipway::gateway {
namespace {

namespace fpb = moby::filesync::v1;
namespace ipb = slipway::image::v1;
using fsutil::types::Packet;
using fsutil::types::Stat;
using ImageFiles = ReadStream<ipb::ReadImageFilesRequest, ipb::ReadImageFilesResponse>;
using TarStream = BidiStream<fpb::BytesMessage, fpb::BytesMessage>;

constexpr size_t kMaxNameBytes = 64 << 20;   // of files with several names
constexpr uint64_t kCountEvery = 256 << 10;  // bytes, for those who look on
constexpr char kSend[] = "/moby.filesync.v1.FileSend/DiffCopy";

// The same call with other messages: which, the client knows by what it asked for.
struct PacketCalls {
  std::shared_ptr<grpc::ChannelInterface> channel;

  void Send(grpc::ClientContext* context, grpc::ClientBidiReactor<Packet, Packet>* reactor) {
    grpc::TemplatedGenericStub<Packet, Packet> stub(channel);
    stub.PrepareBidiStreamingCall(context, kSend, {}, reactor);
  }
};

Stat StatOf(const ipb::ImageFile& file, std::optional<int64_t> mtime_s) {
  Stat stat;
  stat.set_path(file.path());
  stat.set_mode(GoModeOf(file.mode()));
  stat.set_uid(file.uid());
  stat.set_gid(file.gid());
  const absl::Time made =
      absl::FromUnixSeconds(file.mtime_s()) + absl::Nanoseconds(file.mtime_ns());
  stat.set_modtime(absl::ToUnixNanos(mtime_s.has_value() ? absl::FromUnixSeconds(*mtime_s) : made));
  stat.set_linkname(file.link_target());
  if (S_ISCHR(file.mode()) || S_ISBLK(file.mode())) {
    stat.set_devmajor(major(file.device()));
    stat.set_devminor(minor(file.device()));
  }
  if (S_ISREG(file.mode())) stat.set_size(static_cast<int64_t>(file.size_bytes()));
  for (const auto& [name, value] : file.xattrs()) (*stat.mutable_xattrs())[name] = value;
  return stat;
}

// Puts the files into `sink`; further names of a file as links to the first.
class Reader {
 public:
  Reader(ImageFiles source, FileSink& sink, const ImageExport& what)
      : source_(std::move(source)), sink_(sink), what_(what) {}

  Awaitable<absl::Status> Run() {
    ipb::ReadImageFilesResponse message;
    while (co_await source_->Next(message)) {
      if (message.has_file()) {
        CO_RETURN_IF_ERROR(co_await Begin(message.file()));
      } else if (wants_content_) {
        CO_RETURN_IF_ERROR(co_await sink_.Append(message.data()));
        sent_ += message.data().size();
        if (sent_ - counted_ >= kCountEvery) Count();
      }
    }
    Count();
    co_return absl::OkStatus();
  }

 private:
  void Count() {
    counted_ = sent_;
    what_.count(sent_);
  }

  Awaitable<absl::Status> Begin(const ipb::ImageFile& file) {
    wants_content_ = false;
    if (file.path().empty()) co_return absl::OkStatus();
    Stat stat = StatOf(file, what_.mtime_s);
    if (file.link_id() != 0 && !S_ISLNK(file.mode())) {
      const auto [first, is_first] = first_names_.try_emplace(file.link_id(), file.path());
      if (!is_first) {
        stat.set_linkname(first->second);
        stat.set_size(0);
        co_return co_await sink_.Begin(stat, 0);
      }
      name_bytes_ += file.path().size();
      if (name_bytes_ > kMaxNameBytes) {
        co_return absl::ResourceExhaustedError("the image has too many hard links to be sent");
      }
    }
    wants_content_ = S_ISREG(file.mode());
    co_return co_await sink_.Begin(stat, wants_content_ ? file.size_bytes() : 0);
  }

  ImageFiles source_;
  FileSink& sink_;
  const ImageExport& what_;
  std::map<uint64_t, std::string> first_names_;  // by link_id
  size_t name_bytes_ = 0;
  bool wants_content_ = false;
  uint64_t sent_ = 0;
  uint64_t counted_ = 0;
};

absl::Status CheckOffer(const BuildSession& session) {
  if (session.Offers(kSend)) return absl::OkStatus();
  return absl::FailedPreconditionError("the build session takes no output");
}

// Everything of the image into `sink`, which ends at `target`.
template <typename Message, typename Sink>
Awaitable<absl::Status> Send(ImageExport& what, BidiStream<Message, Message> target, Sink& sink) {
  ipb::ReadImageFilesRequest request;
  request.set_image(what.image_id);
  ImageFiles source =
      what.backends.Read(what.backends.image(), &ImageCalls::ReadImageFiles, request, what.options);
  what.cancel.Set([source, target] {
    source->Cancel();
    target->Cancel();
  });
  Reader reader(source, sink, what);
  absl::Status status = co_await reader.Run();
  const absl::Status read = co_await source->Finish();
  if (status.ok()) status = read;
  if (status.ok()) status = co_await sink.Finish();
  if (status.ok()) {
    target->WritesDone();
    Message ignored;
    while (co_await target->Next(ignored)) continue;
  }
  const absl::Status taken = co_await target->Finish();
  // Why a client takes no more, its call says; one that we end is cancelled.
  const bool tells = !taken.ok() && !absl::IsCancelled(taken);
  co_return status.ok() || tells ? taken : status;
}

}  // namespace

Awaitable<absl::Status> SendImageTar(ImageExport what) {
  CO_RETURN_IF_ERROR(CheckOffer(*what.session));
  const std::unique_ptr<fpb::FileSend::StubInterface> stub =
      fpb::FileSend::NewStub(what.session->channel);
  TarStream target =
      OpenBidi(what.backends.calls(), stub->async(),
               &fpb::FileSend::StubInterface::async_interface::DiffCopy, what.options);
  TarSink sink([target](std::string piece) -> Awaitable<absl::Status> {
    fpb::BytesMessage message;
    message.set_data(std::move(piece));
    const bool sent = co_await target->Write(std::move(message));
    co_return sent ? absl::OkStatus() : absl::UnavailableError("the client takes no more");
  });
  co_return co_await Send(what, target, sink);
}

Awaitable<absl::Status> SendImageFiles(ImageExport what) {
  CO_RETURN_IF_ERROR(CheckOffer(*what.session));
  PacketCalls calls{what.session->channel};
  FileSyncStream target = OpenBidi(what.backends.calls(), &calls, &PacketCalls::Send, what.options);
  CopySink sink(target);
  co_return co_await Send(what, target, sink);
}

}  // namespace slipway::gateway
