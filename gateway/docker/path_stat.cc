#include "gateway/docker/path_stat.h"

#include <sys/stat.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "absl/strings/escaping.h"
#include "gateway/docker/json_build.h"
#include "gateway/docker/times.h"

namespace slipway::gateway {

uint32_t GoFileMode(uint32_t mode) {
  uint32_t out = mode & 0777;
  switch (mode & S_IFMT) {
    case S_IFDIR:
      out |= 1u << 31;
      break;
    case S_IFLNK:
      out |= 1u << 27;
      break;
    case S_IFBLK:
      out |= 1u << 26;
      break;
    case S_IFCHR:
      out |= 1u << 26 | 1u << 21;
      break;
    case S_IFIFO:
      out |= 1u << 25;
      break;
    case S_IFSOCK:
      out |= 1u << 24;
      break;
    default:
      break;
  }
  if ((mode & S_ISUID) != 0) out |= 1u << 23;
  if ((mode & S_ISGID) != 0) out |= 1u << 22;
  if ((mode & S_ISVTX) != 0) out |= 1u << 20;
  return out;
}

std::string PathStatHeader(const slipway::agent::v1::PathStat& stat) {
  boost::json::object out;
  out["name"] = ValidUtf8(stat.name());
  out["size"] = stat.size_bytes();
  out["mode"] = GoFileMode(stat.mode());
  out["mtime"] = Rfc3339Nano(stat.modified_unix_ns());
  out["linkTarget"] = ValidUtf8(stat.link_target());
  return absl::Base64Escape(boost::json::serialize(out));
}

}  // namespace slipway::gateway
