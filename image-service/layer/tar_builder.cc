#include "image-service/layer/tar_builder.h"

#include <archive.h>
#include <archive_entry.h>

#include <cstdio>
#include <cstdlib>

namespace slipway::image {
namespace {

void Check(archive* writer, int result) {
  if (result >= ARCHIVE_WARN) return;
  fprintf(stderr, "libarchive: %s\n", archive_error_string(writer));
  abort();
}

la_ssize_t Write(archive*, void* sink, const void* bytes, size_t count) {
  (*static_cast<std::function<void(const char*, size_t)>*>(sink))(static_cast<const char*>(bytes),
                                                                  count);
  return static_cast<la_ssize_t>(count);
}

}  // namespace

TarBuilder::TarBuilder(const std::string& format, std::function<void(const char*, size_t)> sink)
    : writer_(archive_write_new()), sink_(std::move(sink)) {
  Check(writer_, archive_write_set_format_by_name(writer_, format.c_str()));
  if (format == "pax") Check(writer_, archive_write_set_options(writer_, "hdrcharset=BINARY"));
  Check(writer_, archive_write_set_bytes_per_block(writer_, 512));
  Check(writer_, archive_write_set_bytes_in_last_block(writer_, 1));
  Check(writer_, archive_write_open(writer_, &sink_, nullptr, Write, nullptr));
}

TarBuilder::~TarBuilder() { archive_write_free(writer_); }

void TarBuilder::Add(const TarEntry& from) {
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, from.name.c_str());
  archive_entry_set_filetype(entry, from.type);
  archive_entry_set_perm(entry, from.permissions);
  archive_entry_set_uid(entry, from.uid);
  archive_entry_set_gid(entry, from.gid);
  archive_entry_set_mtime(entry, from.mtime_s, from.mtime_ns);
  archive_entry_set_size(entry, static_cast<la_int64_t>(from.content.size()));
  if (from.is_hard_link) {
    archive_entry_set_hardlink(entry, from.target.c_str());
  } else if (!from.target.empty()) {
    archive_entry_set_symlink(entry, from.target.c_str());
  }
  archive_entry_set_rdevmajor(entry, from.device_major);
  archive_entry_set_rdevminor(entry, from.device_minor);
  for (const auto& [name, value] : from.xattrs) {
    archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
  }
  Check(writer_, archive_write_header(writer_, entry));
  if (!from.content.empty()) {
    if (archive_write_data(writer_, from.content.data(), from.content.size()) < 0) {
      Check(writer_, ARCHIVE_FATAL);
    }
  }
  archive_entry_free(entry);
}

void TarBuilder::Finish() { Check(writer_, archive_write_close(writer_)); }

std::string BuildTar(const std::vector<TarEntry>& entries, const std::string& format) {
  std::string tar;
  TarBuilder builder(format, [&tar](const char* bytes, size_t count) { tar.append(bytes, count); });
  for (const TarEntry& entry : entries) builder.Add(entry);
  builder.Finish();
  return tar;
}

std::string CompressWith(const std::string& filter, const std::string& bytes) {
  std::string out;
  std::function<void(const char*, size_t)> sink = [&out](const char* data, size_t count) {
    out.append(data, count);
  };
  archive* writer = archive_write_new();
  Check(writer, archive_write_add_filter_by_name(writer, filter.c_str()));
  Check(writer, archive_write_set_format_raw(writer));
  Check(writer, archive_write_set_bytes_in_last_block(writer, 1));
  Check(writer, archive_write_open(writer, &sink, nullptr, Write, nullptr));
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  Check(writer, archive_write_header(writer, entry));
  if (archive_write_data(writer, bytes.data(), bytes.size()) < 0) Check(writer, ARCHIVE_FATAL);
  archive_entry_free(entry);
  Check(writer, archive_write_close(writer));
  archive_write_free(writer);
  return out;
}

}  // namespace slipway::image
