#ifndef IMAGE_SERVICE_STORE_ROCKSDB_METADATA_STORE_H_
#define IMAGE_SERVICE_STORE_ROCKSDB_METADATA_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "image-service/ports/metadata_store.h"

namespace rocksdb {
class DB;
}

namespace slipway::image {

// Image metadata in RocksDB. Messages are of slipway/storage/v1/image.proto.
//
//   key                            value            written by
//   i/<config digest>              StoredImage      pull, load, import, tag; removed by rmi
//   l/<blob digest>                StoredLayer      a layer that is complete; removed with its last
//                                                   image, in that image's batch
//   t/<domain>/<path>:<tag>        StoredReference  with the image; tag, untag
//   t/<domain>/<path>@<digest>     StoredReference  with the image; untag
//   o/<owner>                      StoredOwner      acquire, release
//   m/state                        StoredCleanShutdown  an orderly stop; removed at start
//   e/<sequence, 8 bytes BE>       StoredEvent      in the batch of what it tells; the oldest go in
//                                                   the batch that adds one too many
//
// An image and what points to it change in one synced batch; uses of layers are not counted on disk
// but follow from the images. Thread-safe. The only opener of its database.
class RocksdbMetadataStore : public MetadataStore {
 public:
  // Makes the database where there is none. Errors name the path.
  static absl::StatusOr<std::unique_ptr<RocksdbMetadataStore>> Open(const std::string& path);
  ~RocksdbMetadataStore() override;

  absl::StatusOr<MetadataSnapshot> Load() override;
  absl::Status Apply(const MetadataBatch& batch) override;
  absl::StatusOr<ImageRecord> ReadImage(const Digest& id) override;

 private:
  explicit RocksdbMetadataStore(std::unique_ptr<rocksdb::DB> db);
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_STORE_ROCKSDB_METADATA_STORE_H_
