#include "services/log/rpc/cursor.h"

#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"

namespace slipway::log {
namespace {

constexpr absl::string_view kMagic = "C1";
constexpr size_t kIdBytes = 32;
constexpr size_t kPlaceBytes = kIdBytes + kStreams * (8 + 8 + 4);

template <typename T>
void Append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T Take(absl::string_view& bytes) {
  T value;
  memcpy(&value, bytes.data(), sizeof(value));
  bytes.remove_prefix(sizeof(value));
  return value;
}

// FNV-1a: tells a cursor from other bytes, no more.
uint32_t Checksum(absl::string_view bytes) {
  uint32_t hash = 2166136261u;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash;
}

}  // namespace

std::string EncodeCursor(const std::vector<Place>& places) {
  std::string out(kMagic);
  for (const Place& place : places) {
    std::string id = absl::HexStringToBytes(place.container_id);
    id.resize(kIdBytes);
    out += id;
    for (const Position& position : place.streams) {
      Append(out, position.segment);
      Append(out, position.offset);
      Append(out, position.data_offset);
    }
  }
  Append(out, Checksum(out));
  return out;
}

absl::StatusOr<std::vector<Place>> DecodeCursor(absl::string_view bytes) {
  const auto bad = [] { return absl::InvalidArgumentError("cursor was not made by this service"); };
  if (bytes.size() < kMagic.size() + 4 || bytes.substr(0, 2) != kMagic) return bad();
  absl::string_view sum = bytes.substr(bytes.size() - 4);
  bytes.remove_suffix(4);
  if (Take<uint32_t>(sum) != Checksum(bytes)) return bad();
  bytes.remove_prefix(kMagic.size());
  if (bytes.size() % kPlaceBytes != 0) return bad();
  std::vector<Place> places;
  while (!bytes.empty()) {
    Place place{.container_id = absl::BytesToHexString(bytes.substr(0, kIdBytes))};
    bytes.remove_prefix(kIdBytes);
    for (Position& position : place.streams) {
      position.segment = Take<uint64_t>(bytes);
      position.offset = Take<uint64_t>(bytes);
      position.data_offset = Take<uint32_t>(bytes);
    }
    places.push_back(std::move(place));
  }
  return places;
}

}  // namespace slipway::log
