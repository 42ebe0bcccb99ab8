#include "gateway/buildkit/sessions.h"

#include <grpcpp/create_channel_posix.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

namespace slipway::gateway {
namespace {

constexpr std::chrono::seconds kPatience{5};
constexpr int kMaxMessageBytes = 16 << 20;

}  // namespace

absl::StatusOr<BuildSessionPtr> BuildSessions::Open(const std::string& id,
                                                    std::set<std::string, std::less<>> methods,
                                                    UniqueFd socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  auto session = std::make_shared<BuildSession>();
  session->id = id;
  session->methods = std::move(methods);
  session->channel =
      grpc::CreateCustomInsecureChannelFromFd("session", socket.release(), arguments);
  if (!open_.Add(id, session)) {
    return absl::AlreadyExistsError(absl::StrCat("session ", id, " already exists"));
  }
  return session;
}

Awaitable<absl::StatusOr<BuildSessionPtr>> BuildSessions::Find(std::string id) {
  const auto found = co_await open_.Await(id, std::chrono::steady_clock::now() + kPatience);
  if (found.has_value()) co_return *found;
  co_return absl::NotFoundError(absl::StrCat("no active session for ", id));
}

}  // namespace slipway::gateway
