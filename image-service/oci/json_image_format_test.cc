#include "image-service/oci/json_image_format.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "image-service/domain/media_types.h"

namespace slipway::image {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string Descriptor(const std::string& more = "") {
  return absl::StrCat(R"({"mediaType":"application/x","digest":")", kDigest, R"(","size":7)", more,
                      "}");
}

absl::StatusCode ManifestCode(const std::string& json, const std::string& type = "") {
  return JsonImageFormat().ParseManifest(json, type).status().code();
}

TEST(ParseManifestTest, RefusesWhatIsNoManifest) {
  for (const std::string& json : std::initializer_list<std::string>{
           "", "{", "[]", "7", "null", R"({"config":7})", R"({"config":{}})", R"({"layers":[]})",
           R"({"config":{"digest":"sha256:12"}})",
           absl::StrCat(R"({"config":)", Descriptor(), R"(,"layers":{}})"),
           absl::StrCat(R"({"config":)", Descriptor(), R"(,"layers":[7]})"),
           absl::StrCat(R"({"config":{"digest":")", kDigest, R"(","size":-1}})"),
           absl::StrCat(R"({"config":{"digest":")", kDigest, R"(","size":1e99}})"),
           absl::StrCat(R"({"config":)", Descriptor(), R"(,"layers":[],"manifests":[]})"),
           R"({"schemaVersion":1,"fsLayers":[]})", R"({"mediaType":"application/zip"})",
           R"({"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[7]})"}) {
    EXPECT_EQ(ManifestCode(json), absl::StatusCode::kInvalidArgument) << json;
  }
}

TEST(ParseManifestTest, TypeMustBeWhatTheTransportSaid) {
  const std::string json = absl::StrCat(
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)", Descriptor(), "}");
  EXPECT_EQ(ManifestCode(json, kOciManifestType), absl::StatusCode::kOk);
  EXPECT_EQ(ManifestCode(json, "application/json"), absl::StatusCode::kOk);
  EXPECT_EQ(ManifestCode(json, kOciIndexType), absl::StatusCode::kInvalidArgument);
}

TEST(ParseManifestTest, BombsEndEarly) {
  EXPECT_EQ(ManifestCode(std::string(4 << 20, '[')), absl::StatusCode::kInvalidArgument);
  std::string wide = "[";
  for (int i = 0; i < (2 << 20); ++i) wide += "0,";
  EXPECT_EQ(ManifestCode(wide + "0]"), absl::StatusCode::kResourceExhausted);
  std::string layers = absl::StrCat(R"({"config":)", Descriptor(), R"(,"layers":[)", Descriptor());
  for (int i = 0; i < 127; ++i) absl::StrAppend(&layers, ",", Descriptor());
  EXPECT_EQ(ManifestCode(layers + "]}"), absl::StatusCode::kInvalidArgument);
}

TEST(ParseManifestTest, ReadsManifestAndForeignLayers) {
  const auto parsed = JsonImageFormat().ParseManifest(
      absl::StrCat(R"({"schemaVersion":2,"config":)", Descriptor(), R"(,"layers":[)", Descriptor(),
                   ",", Descriptor(R"(,"urls":["http://x"])"), "]}"),
      kDockerManifestType);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const auto& manifest = std::get<Manifest>(*parsed);
  EXPECT_EQ(manifest.media_type, kDockerManifestType);
  ASSERT_EQ(manifest.layers.size(), 2u);
  EXPECT_EQ(manifest.layers[0].size_bytes, 7);
  EXPECT_FALSE(manifest.layers[0].has_urls);
  EXPECT_TRUE(manifest.layers[1].has_urls);
}

TEST(ParseManifestTest, ReadsIndexAndSelectsPlatform) {
  const auto entry = [](const std::string& platform) {
    return Descriptor(absl::StrCat(R"(,"platform":{"os":"linux",)", platform, "}"));
  };
  const auto parsed = JsonImageFormat().ParseManifest(
      absl::StrCat(R"({"manifests":[)", entry(R"("architecture":"arm","variant":"v6")"), ",",
                   entry(R"("architecture":"arm","variant":"v7")"), ",",
                   entry(R"("architecture":"arm64","variant":"v8")"), ",",
                   entry(R"("architecture":"amd64")"), "]}"),
      "");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const auto& index = std::get<std::vector<IndexEntry>>(*parsed);
  EXPECT_EQ(SelectPlatform(index, {"linux", "amd64", ""}), 3);
  EXPECT_EQ(SelectPlatform(index, {"linux", "arm", ""}), 1);
  EXPECT_EQ(SelectPlatform(index, {"linux", "arm", "v6"}), 0);
  EXPECT_EQ(SelectPlatform(index, {"linux", "arm64", ""}), 2);
  EXPECT_EQ(SelectPlatform(index, {"linux", "s390x", ""}), -1);
  EXPECT_EQ(SelectPlatform(index, {"windows", "amd64", ""}), -1);
}

TEST(ParseConfigTest, Refuses) {
  JsonImageFormat format;
  for (const std::string& json : std::initializer_list<std::string>{
           "", "[]", "{}", R"({"rootfs":7})", R"({"rootfs":{"diff_ids":"x"}})",
           R"({"rootfs":{"diff_ids":["x"]}})", R"({"rootfs":{},"created":"yesterday"})",
           R"({"rootfs":{},"config":[]})", R"({"rootfs":{},"config":{"Env":[7]}})",
           R"({"rootfs":{},"config":{"Labels":{"a":7}}})", R"({"rootfs":{},"history":[7]})"}) {
    EXPECT_EQ(format.ParseConfig(json).status().code(), absl::StatusCode::kInvalidArgument) << json;
  }
}

TEST(ParseConfigTest, WhatIsWrittenIsReadAgain) {
  ImageDescription description;
  description.created_unix_ns = 1767225600123456789;
  description.author = "me";
  description.comment = "Imported from -";
  description.platform = {"linux", "arm64", "v8"};
  description.config.user = "redis:redis";
  description.config.env = {"PATH=/bin", "A=\"\n"};
  description.config.entrypoint = {"/e"};
  description.config.command = {"sh", "-c", "x"};
  description.config.exposed_ports = {"6379/tcp"};
  description.config.volumes = {"/data"};
  description.config.labels = {{"k", "v"}};
  description.config.stop_signal = "SIGQUIT";
  description.config.has_healthcheck = true;
  description.config.healthcheck.test = {"CMD", "true"};
  description.config.healthcheck.interval_ns = 30000000000;
  description.config.healthcheck.retries = 3;
  description.diff_ids = {Digest::Parse(kDigest).value()};
  description.history = {{1767225600000000000, "RUN x", "", "", true}, {}};
  JsonImageFormat format;
  const auto read = format.ParseConfig(format.WriteConfig(description));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->created_unix_ns, description.created_unix_ns);
  EXPECT_EQ(read->config.env, description.config.env);
  EXPECT_EQ(read->config.command, description.config.command);
  EXPECT_EQ(read->config.labels, description.config.labels);
  EXPECT_EQ(read->config.healthcheck.retries, 3);
  EXPECT_EQ(read->platform.variant, "v8");
  EXPECT_EQ(read->diff_ids, description.diff_ids);
  ASSERT_EQ(read->history.size(), 2u);
  EXPECT_TRUE(read->history[0].empty_layer);
  EXPECT_EQ(format.WriteConfig(*read), format.WriteConfig(description));
}

TEST(ParseConfigTest, NullsAndGoZeroTime) {
  const auto read = JsonImageFormat().ParseConfig(
      R"({"created":"0001-01-01T00:00:00Z","config":{"Env":null,"Cmd":null,"Labels":null},)"
      R"("rootfs":{"type":"layers","diff_ids":null},"history":null})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->created_unix_ns, 0);
}

TEST(ParseArchiveTest, RefusesAndReads) {
  JsonImageFormat format;
  for (const std::string json : {"", "{}", "[7]", R"([{"Config":7}])", R"([{"Layers":"x"}])"}) {
    EXPECT_FALSE(format.ParseArchive(json).ok()) << json;
  }
  const auto read =
      format.ParseArchive(R"([{"Config":"c.json","RepoTags":null,"Layers":["a/layer.tar"]}])");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ((*read)[0].layers, std::vector<std::string>{"a/layer.tar"});
}

}  // namespace
}  // namespace slipway::image
