#ifndef IMAGE_SERVICE_LAYER_LAYER_WRITER_H_
#define IMAGE_SERVICE_LAYER_LAYER_WRITER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "image-service/layer/chunk_queue.h"
#include "image-service/layer/decompress.h"
#include "image-service/layer/layer_file.h"
#include "image-service/layer/layer_limits.h"
#include "image-service/layer/sha256.h"
#include "image-service/layer/tar_split.h"

namespace slipway::image {

struct LayerOptions {
  // Where the layer file comes into being; the final path must be on the same file system.
  std::string directory;
  LayerLimits limits;
  // `docker import` takes them, layers of registries do not.
  bool accept_xz_and_bzip2 = false;
  // Puts behind the image what the tar can be made of again (layer/tar_split.h).
  bool keep_split = false;
  // fdatasync in Finish. Without it the caller must sync before it relies on the file after a power
  // cut (or make it again from the blob).
  bool sync = true;
};

struct LayerResult {
  std::string digest;   // "sha256:…" of the bytes as appended
  std::string diff_id;  // "sha256:…" of the tar
  Compression compression = Compression::kNone;
  uint64_t compressed_bytes = 0;
  uint64_t tar_bytes = 0;
  uint64_t image_bytes = 0;    // of the EROFS file, holes included
  uint64_t split_bytes = 0;    // that follow it
  uint64_t entry_count = 0;    // of the tar
  uint64_t content_bytes = 0;  // of its files
  // The layer's root hides everything of the layers below. overlayfs does not look at the mark on a
  // root directory: the layers below must be left out of the stack.
  bool opaque_root = false;
};

// Turns a layer blob (a tar: plain, gzip or zstd, told by its first bytes) into an EROFS file in
// one pass, while the blob arrives. Memory is bounded: about 1.5 MB, a zstd window, and some 60
// bytes for each name in the layer.
//
//   ASSIGN_OR_RETURN(auto writer, LayerWriter::Create({.directory = …}));
//   while (…) RETURN_IF_ERROR(writer->Append(bytes));
//   ASSIGN_OR_RETURN(LayerResult result, writer->Finish());
//   … compare result.digest, result.diff_id …
//   RETURN_IF_ERROR(writer->Commit(path));
//
// Until Commit nothing has a name in the directory; a writer destroyed before leaves nothing
// behind, whatever happened. (A process killed within Commit, or at any time on a file system
// without O_TMPFILE, may leave a file named ".layer-…": remove those at start.)
//
// Errors: InvalidArgument (a layer that must not be: escaping names, limits; names the entry),
// DataLoss (damaged or truncated; says where), ResourceExhausted (disk full; names the directory).
// Call from one thread at a time. Two threads of its own decompress and convert; Append blocks
// while they are busy with what was appended before.
class LayerWriter {
 public:
  static absl::StatusOr<std::unique_ptr<LayerWriter>> Create(const LayerOptions& options);
  LayerWriter(const LayerWriter&) = delete;
  LayerWriter& operator=(const LayerWriter&) = delete;
  ~LayerWriter();

  // The next bytes of the blob, in pieces of any size. After an error every further call fails with
  // the same error.
  absl::Status Append(absl::string_view bytes);

  // The blob is complete. Call once; then the file is complete too, but has no name.
  absl::StatusOr<LayerResult> Finish();

  // Whether the file at `path` has the same content, and maybe a split behind it; false when it is
  // missing or cannot be read. After a successful Finish.
  absl::StatusOr<bool> SameAs(const std::string& path) const;

  // Gives the file its name, replacing a file of that name, and syncs the directory. After a
  // successful Finish.
  absl::Status Commit(const std::string& path);

 private:
  LayerWriter(const LayerOptions& options, LayerFile file);

  // Hands the pending chunk over, hashed where its bytes are not the tar's own.
  void PublishPending();
  void RunDecompression();
  void RunConversion();
  absl::Status Convert();
  // The conversion's input: what is decompressed, hashed on its way.
  std::optional<absl::string_view> NextTarBytes();
  // The first failure wins: the others follow from it.
  void Fail(const absl::Status& status);
  absl::Status failure();
  void Join();

  const LayerOptions options_;
  LayerFile file_;
  ChunkQueue compressed_;
  ChunkQueue tar_;

  // The caller's thread.
  Sha256 blob_hash_;                              // of what is compressed
  std::optional<Compression> input_compression_;  // once the first chunk is there
  char* pending_ = nullptr;
  size_t pending_bytes_ = 0;
  bool finished_ = false;
  bool complete_ = false;

  // Set by the decompressing thread before it publishes anything.
  Compression compression_ = Compression::kNone;

  // The converting thread's, or of a plain tar the decompressing one's, which has less to do.
  Sha256 tar_hash_;
  // The converting thread's; the caller's after Join.
  std::optional<TarSplitWriter> split_;
  LayerResult result_;

  absl::Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);

  std::thread decompressor_;
  std::thread converter_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_LAYER_WRITER_H_
