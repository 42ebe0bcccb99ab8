#include "gateway/buildkit/copy_sink.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/text/utf8.h"
#include "gateway/buildkit/tar_text.h"

namespace slipway::gateway {
namespace {

constexpr uint64_t kSmall = 256 << 10;      // what may be held
constexpr size_t kMaxHeldBytes = 2 << 20;   // then all is sent
constexpr size_t kMaxHeld = 128;            // files
constexpr size_t kMaxErrorBytes = 4 << 10;  // of a client's words

absl::Status NoMore() { return absl::UnavailableError("the client takes no more files"); }

absl::Status Unasked(const fsutil::types::Packet& packet) {
  return absl::InvalidArgumentError(
      absl::StrCat("the client asks for what was not told of: ", packet.type(), " ", packet.id()));
}

}  // namespace

Awaitable<absl::Status> CopySink::Begin(const fsutil::types::Stat& stat, uint64_t size) {
  CO_RETURN_IF_ERROR(co_await EndLarge());
  filling_.reset();
  for (const std::string* text : {&stat.path(), &stat.linkname()}) {
    if (ValidUtf8(*text) == *text) continue;
    co_return absl::InvalidArgumentError(
        absl::StrCat(ValidUtf8(stat.path()),
                     " has a name that is not UTF-8: it can be had with --output type=tar"));
  }
  const uint32_t mode = ModeOfGo(stat.mode());
  if (S_ISSOCK(mode)) co_return absl::OkStatus();
  const bool has_content = S_ISREG(mode) && stat.linkname().empty();
  const bool is_large = has_content && size > kSmall;
  if (is_large || held_.size() >= kMaxHeld || held_bytes_ >= kMaxHeldBytes) {
    CO_RETURN_IF_ERROR(co_await SendHeld());
  }
  Packet told;
  told.set_type(Packet::PACKET_STAT);
  *told.mutable_stat() = stat;
  CO_RETURN_IF_ERROR(co_await Write(std::move(told)));
  const uint32_t id = told_++;
  if (is_large) {
    CO_ASSIGN_OR_RETURN(const Packet asked, co_await Next());
    if (asked.type() != Packet::PACKET_REQ || asked.id() != id) co_return Unasked(asked);
    large_ = id;
  } else if (has_content) {
    held_[id].clear();
    filling_ = id;
  }
  co_return absl::OkStatus();
}

Awaitable<absl::Status> CopySink::Append(absl::string_view content) {
  if (content.empty()) co_return absl::OkStatus();
  if (large_.has_value()) co_return co_await Data(*large_, std::string(content));
  if (filling_.has_value()) {
    absl::StrAppend(&held_[*filling_], content);
    held_bytes_ += content.size();
  }
  co_return absl::OkStatus();
}

Awaitable<absl::Status> CopySink::Finish() {
  CO_RETURN_IF_ERROR(co_await EndLarge());
  CO_RETURN_IF_ERROR(co_await SendHeld());
  Packet last;
  last.set_type(Packet::PACKET_STAT);
  CO_RETURN_IF_ERROR(co_await Write(std::move(last)));
  CO_ASSIGN_OR_RETURN(const Packet end, co_await Next());
  if (end.type() != Packet::PACKET_FIN) co_return Unasked(end);
  co_return co_await Write(end);
}

Awaitable<absl::Status> CopySink::EndLarge() {
  if (!large_.has_value()) co_return absl::OkStatus();
  const uint32_t id = *large_;
  large_.reset();
  co_return co_await Data(id, "");
}

Awaitable<absl::Status> CopySink::SendHeld() {
  while (!held_.empty()) {
    CO_ASSIGN_OR_RETURN(const Packet asked, co_await Next());
    const auto found = held_.find(asked.id());
    if (asked.type() != Packet::PACKET_REQ || found == held_.end()) co_return Unasked(asked);
    std::string content = std::move(found->second);
    held_.erase(found);
    if (!content.empty()) {
      CO_RETURN_IF_ERROR(co_await Data(asked.id(), std::move(content)));
    }
    CO_RETURN_IF_ERROR(co_await Data(asked.id(), ""));
  }
  held_bytes_ = 0;
  co_return absl::OkStatus();
}

Awaitable<absl::Status> CopySink::Data(uint32_t id, std::string content) {
  Packet data;
  data.set_type(Packet::PACKET_DATA);
  data.set_id(id);
  data.set_data(std::move(content));
  co_return co_await Write(std::move(data));
}

Awaitable<absl::Status> CopySink::Write(Packet packet) {
  const bool sent = co_await target_->Write(std::move(packet));
  co_return sent ? absl::OkStatus() : NoMore();
}

Awaitable<absl::StatusOr<fsutil::types::Packet>> CopySink::Next() {
  Packet packet;
  bool more = co_await target_->Next(packet);
  if (!more) co_return NoMore();
  if (packet.type() != Packet::PACKET_ERR) co_return packet;
  const std::string words = ValidUtf8(absl::string_view(packet.data()).substr(0, kMaxErrorBytes));
  // Its call's end tells more.
  while (more) more = co_await target_->Next(packet);
  co_return absl::UnknownError(absl::StrCat("error from receiver: ", words));
}

}  // namespace slipway::gateway
