#include "image-service/server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/metrics/metrics.h"
#include "base/os/descriptor_door.h"
#include "base/rpc/server.h"
#include "base/status/status_macros.h"
#include "image-service/clients/prometheus_metrics.h"
#include "image-service/domain/catalog.h"
#include "image-service/domain/commit.h"
#include "image-service/domain/import.h"
#include "image-service/domain/layer_transfers.h"
#include "image-service/domain/load.h"
#include "image-service/domain/pull.h"
#include "image-service/domain/push.h"
#include "image-service/domain/save.h"
#include "image-service/domain/scrub.h"
#include "image-service/domain/worker_pool.h"
#include "image-service/oci/json_image_format.h"
#include "image-service/oci/tar_archive_reader.h"
#include "image-service/oci/tar_archive_writer.h"
#include "image-service/rpc/image_service.h"
#include "image-service/store/file_content_store.h"
#include "image-service/store/rocksdb_metadata_store.h"

namespace slipway::image {
namespace {

constexpr size_t kMaxJobs = 32;
constexpr size_t kMaxQueuedJobs = 64;
constexpr size_t kMaxQueuedSyncs = 256;
constexpr int kMaxThreads = 32;

}  // namespace

// In the order in which they need each other; destroyed in reverse.
struct Server::Parts {
  explicit Parts(const ServerOptions& options)
      : image_metrics(*metrics.registry()), http(options.http), registry(http, options.registry) {}

  Cancellation stopping;
  Metrics metrics;
  PrometheusMetrics image_metrics;
  JsonImageFormat format;
  HttpClient http;
  RegistryClient registry;
  std::unique_ptr<FileContentStore> content;
  std::unique_ptr<RocksdbMetadataStore> metadata;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<WorkerPool> syncer;
  std::unique_ptr<LayerTransfers> transfers;
  std::unique_ptr<Puller> puller;
  std::unique_ptr<Pusher> pusher;
  std::unique_ptr<Loader> loader;
  std::unique_ptr<Importer> importer;
  std::unique_ptr<Committer> committer;
  std::unique_ptr<Saver> saver;
  std::unique_ptr<Scrubber> scrubber;
  std::unique_ptr<DescriptorDoor> door;
  std::unique_ptr<ImageServiceImpl> service;
  // After the service, so that its jobs end first: their streams live in the server until then.
  std::unique_ptr<WorkerPool> jobs;
  std::unique_ptr<RpcServer> rpc;
};

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() {
  if (parts_->rpc != nullptr) parts_->rpc->Shutdown(absl::Milliseconds(200));
  parts_->stopping.Cancel();
  parts_->jobs.reset();
  parts_->syncer.reset();
  parts_->catalog->Close();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  auto parts = std::make_unique<Parts>(options);
  const std::string& root = options.service.root;
  ASSIGN_OR_RETURN(parts->content, FileContentStore::Open(root, options.content));
  ASSIGN_OR_RETURN(parts->metadata, RocksdbMetadataStore::Open(absl::StrCat(root, "/db")));
  ASSIGN_OR_RETURN(parts->catalog, Catalog::Open(*parts->metadata, *parts->content, parts->format,
                                                 parts->image_metrics));
  parts->syncer = std::make_unique<WorkerPool>(1, kMaxQueuedSyncs);
  const IntakeParts intake{*parts->catalog, *parts->content, parts->image_metrics, *parts->syncer};
  parts->transfers = std::make_unique<LayerTransfers>(intake, options.max_layers_at_once);
  parts->puller = std::make_unique<Puller>(parts->registry, *parts->catalog, *parts->transfers,
                                           parts->format, parts->image_metrics);
  parts->pusher =
      std::make_unique<Pusher>(parts->registry, *parts->catalog, *parts->content, parts->format,
                               parts->image_metrics, options.max_layers_at_once);
  parts->loader = std::make_unique<Loader>(intake, parts->format, OpenTarArchive);
  parts->importer = std::make_unique<Importer>(intake, parts->format);
  parts->committer = std::make_unique<Committer>(intake, parts->format);
  parts->saver = std::make_unique<Saver>(*parts->catalog, *parts->content, parts->format,
                                         parts->image_metrics, MakeTarArchive);
  parts->scrubber = std::make_unique<Scrubber>(*parts->catalog, *parts->content, parts->registry,
                                               *parts->transfers);
  parts->jobs = std::make_unique<WorkerPool>(kMaxJobs, kMaxQueuedJobs);
  ASSIGN_OR_RETURN(parts->door, DescriptorDoor::Listen(DescriptorDoorPath(options.service.socket)));
  parts->service = std::make_unique<ImageServiceImpl>(ImageServiceParts{
      *parts->catalog, *parts->content, parts->registry, parts->format, *parts->puller,
      *parts->pusher, *parts->loader, *parts->importer, *parts->committer, *parts->saver,
      *parts->scrubber, *parts->jobs, parts->door.get()});
  RETURN_IF_ERROR(parts->metrics.Serve(options.service.metrics_address));
  RpcServerOptions rpc;
  rpc.listeners = {{.path = options.service.socket}};
  rpc.max_threads = kMaxThreads;
  ASSIGN_OR_RETURN(parts->rpc,
                   RpcServer::Start(std::move(rpc), {parts->service.get()}, parts->metrics));
  if (!parts->catalog->Blobs(/*only_damaged=*/true).empty()) {
    (void)parts->jobs->TrySchedule([parts = parts.get()] {
      const auto outcome = parts->scrubber->Run(/*only_damaged=*/true, parts->stopping);
      if (!outcome.ok()) Log(LogLevel::kWarning, outcome.status().message());
    });
  }
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

}  // namespace slipway::image
