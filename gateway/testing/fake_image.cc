#include "gateway/testing/fake_image.h"

#include "absl/strings/str_cat.h"

namespace slipway::gateway {

slipway::image::v1::Image MakeFakeImage(const std::string& name) {
  slipway::image::v1::Image image;
  image.set_id(kFakeDigest);
  image.add_repo_tags(name);
  image.add_repo_digests(absl::StrCat(name.substr(0, name.find(':')), "@", kFakeDigest));
  image.set_created_unix_ns(1'700'000'000'000'000'000);
  image.mutable_platform()->set_os("linux");
  image.mutable_platform()->set_architecture("amd64");
  image.set_size_bytes(12'345'678);
  image.mutable_config()->add_env("PATH=/bin");
  image.mutable_config()->add_command("echo");
  slipway::image::v1::LayerInfo& layer = *image.add_layers();
  layer.set_diff_id(kFakeDigest);
  layer.set_tar_size_bytes(12'345'678);
  slipway::image::v1::HistoryEntry& history = *image.add_history();
  history.set_created_by("/bin/sh -c true");
  history.set_created_unix_ns(1'700'000'000'000'000'000);
  return image;
}

}  // namespace slipway::gateway
