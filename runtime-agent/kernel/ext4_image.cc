#include "runtime-agent/kernel/ext4_image.h"

#include <et/com_err.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/os/unique_fd.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

// As mke2fs does: small ones have blocks of 1 KiB.
constexpr int64_t kSmallBytes = int64_t{512} << 20;

absl::Status Check(errcode_t error, const std::string& path, const char* what) {
  if (error == 0) return absl::OkStatus();
  if (error < 256) return ErrnoStatus(static_cast<int>(error), absl::StrCat(what, " of ", path));
  return absl::InternalError(absl::StrCat(what, " of ", path, ": ext2fs error ", error));
}

ext2_super_block Parameters(int64_t size_bytes) {
  ext2_super_block parameters = {};
  parameters.s_log_block_size = size_bytes < kSmallBytes ? 0 : 2;
  const int64_t block_bytes = int64_t{1024} << parameters.s_log_block_size;
  ext2fs_blocks_count_set(&parameters, static_cast<blk64_t>(size_bytes / block_bytes));
  parameters.s_rev_level = EXT2_DYNAMIC_REV;
  parameters.s_inode_size = 256;
  parameters.s_log_groups_per_flex = 4;
  ext2fs_set_feature_xattr(&parameters);
  ext2fs_set_feature_dir_index(&parameters);
  ext2fs_set_feature_filetype(&parameters);
  ext2fs_set_feature_extents(&parameters);
  ext2fs_set_feature_flex_bg(&parameters);
  ext2fs_set_feature_sparse_super(&parameters);
  ext2fs_set_feature_large_file(&parameters);
  ext2fs_set_feature_huge_file(&parameters);
  ext2fs_set_feature_dir_nlink(&parameters);
  ext2fs_set_feature_extra_isize(&parameters);
  return parameters;
}

absl::Status Fill(ext2_filsys system, const std::string& path) {
  ext2_super_block& super = *system->super;
  if (getrandom(super.s_uuid, sizeof(super.s_uuid), 0) != sizeof(super.s_uuid) ||
      getrandom(super.s_hash_seed, sizeof(super.s_hash_seed), 0) != sizeof(super.s_hash_seed)) {
    return absl::InternalError("no random bytes for a file system");
  }
  super.s_def_hash_version = EXT2_HASH_HALF_MD4;
  super.s_flags |= EXT2_FLAGS_SIGNED_HASH;
  super.s_max_mnt_count = -1;
  super.s_min_extra_isize = 32;
  super.s_want_extra_isize = 32;
  RETURN_IF_ERROR(Check(ext2fs_allocate_tables(system), path, "allocate the tables"));
  RETURN_IF_ERROR(Check(ext2fs_mkdir(system, EXT2_ROOT_INO, EXT2_ROOT_INO, nullptr), path,
                        "make the root directory"));
  for (ext2_ino_t inode = EXT2_BAD_INO; inode < EXT2_FIRST_INODE(&super); ++inode) {
    if (inode != EXT2_ROOT_INO) ext2fs_inode_alloc_stats2(system, inode, +1, 0);
  }
  ext2fs_mark_ib_dirty(system);
  const int journal_blocks = ext2fs_default_journal_size(ext2fs_blocks_count(&super));
  if (journal_blocks <= 0) return absl::OkStatus();
  return Check(ext2fs_add_journal_inode(system, static_cast<blk_t>(journal_blocks),
                                        EXT2_MKJOURNAL_NO_MNT_CHECK | EXT2_MKJOURNAL_LAZYINIT),
               path, "make the journal");
}

absl::Status MakeFileSystem(const std::string& path, int64_t size_bytes) {
  ext2_super_block parameters = Parameters(size_bytes);
  ext2_filsys system = nullptr;
  RETURN_IF_ERROR(Check(
      ext2fs_initialize(path.c_str(), EXT2_FLAG_64BITS, &parameters, unix_io_manager, &system),
      path, "make the file system"));
  const absl::Status filled = Fill(system, path);
  if (!filled.ok()) {
    ext2fs_free(system);
    return filled;
  }
  return Check(ext2fs_close_free(&system), path, "write the file system");
}

}  // namespace

absl::Status MakeExt4Image(const std::string& path, int64_t size_bytes) {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_RDWR | O_CREAT | O_EXCL, 0600));
  absl::Cleanup remove = [&path] { unlink(path.c_str()); };
  if (ftruncate(file.get(), size_bytes) != 0) {
    return ErrnoStatus(errno, absl::StrCat("enlarge ", path));
  }
  RETURN_IF_ERROR(MakeFileSystem(path, size_bytes));
  if (fsync(file.get()) != 0) return ErrnoStatus(errno, absl::StrCat("sync ", path));
  std::move(remove).Cancel();
  return absl::OkStatus();
}

}  // namespace slipway::agent
