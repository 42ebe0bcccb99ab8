#include "cli/context.h"

#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "base/rpc/channel.h"
#include "base/rpc/status_conversion.h"

namespace slipway::cli {

std::shared_ptr<grpc::Channel> Context::channel() {
  if (channel_ == nullptr) {
    // "unix:///run/x.sock" and "unix:/run/x.sock" and "/run/x.sock" are the same.
    absl::string_view address = host;
    if (absl::ConsumePrefix(&address, "unix://") || absl::ConsumePrefix(&address, "unix:")) {
      channel_ = NewChannel(address);
    } else {
      channel_ = NewChannel(host);
    }
  }
  return channel_;
}

image::v1::ImageService::Stub& Context::images() {
  if (images_ == nullptr) images_ = image::v1::ImageService::NewStub(channel());
  return *images_;
}

container::v1::ContainerService::Stub& Context::containers() {
  if (containers_ == nullptr) containers_ = container::v1::ContainerService::NewStub(channel());
  return *containers_;
}

container::v1::VolumeService::Stub& Context::volumes() {
  if (volumes_ == nullptr) volumes_ = container::v1::VolumeService::NewStub(channel());
  return *volumes_;
}

log::v1::LogService::Stub& Context::logs() {
  if (logs_ == nullptr) logs_ = log::v1::LogService::NewStub(channel());
  return *logs_;
}

agent::v1::StreamService::Stub& Context::streams() {
  if (streams_ == nullptr) streams_ = agent::v1::StreamService::NewStub(channel());
  return *streams_;
}

build::v1::BuildService::Stub& Context::builds() {
  if (builds_ == nullptr) builds_ = build::v1::BuildService::NewStub(channel());
  return *builds_;
}

bool Context::Check(const absl::Status& status, int failure_code) {
  if (status.ok()) return true;
  std::string message(status.message());
  if (absl::IsUnavailable(status) && absl::StrContains(message, "connect")) {
    message = "cannot connect to slipway at " + host + ": is it running? (" + message + ")";
  }
  std::fprintf(stderr, "slipway: %s\n", message.c_str());
  exit_code = failure_code;
  return false;
}

bool Context::Check(const grpc::Status& status, int failure_code) {
  return Check(FromGrpc(status), failure_code);
}

}  // namespace slipway::cli
