#include "runtime-agent/dns/control.h"

#include <cstdint>
#include <cstring>

namespace slipway::dns {
namespace {

enum Kind : char { kSandbox = 'S', kSandboxGone = 's', kEndpoint = 'E', kEndpointGone = 'e' };

class Writer {
 public:
  explicit Writer(Kind kind) { bytes_.push_back(kind); }
  Writer& Number(uint32_t value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  Writer& Text(const std::string& text) {
    Number(static_cast<uint32_t>(text.size()));
    bytes_ += text;
    return *this;
  }
  Writer& List(const std::vector<std::string>& list) {
    Number(static_cast<uint32_t>(list.size()));
    for (const std::string& text : list) Text(text);
    return *this;
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  uint32_t Number() {
    uint32_t value = 0;
    if (bytes_.size() < sizeof(value)) {
      good_ = false;
      return 0;
    }
    memcpy(&value, bytes_.data(), sizeof(value));
    bytes_.remove_prefix(sizeof(value));
    return value;
  }
  std::string Text() {
    const uint32_t size = Number();
    if (size > bytes_.size()) {
      good_ = false;
      return "";
    }
    std::string text(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return text;
  }
  std::vector<std::string> List() {
    std::vector<std::string> list;
    for (uint32_t left = Number(); good_ && left > 0; --left) list.push_back(Text());
    return list;
  }
  bool done() const { return good_ && bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool good_ = true;
};

std::string Encode(const SandboxRecord& record) {
  Writer writer(kSandbox);
  writer.Text(record.id).List(record.network_ids).List(record.upstreams);
  writer.Number(static_cast<uint32_t>(record.links.size()));
  for (const auto& [name, id] : record.links) writer.Text(name).Text(id);
  return writer.Take();
}
std::string Encode(const SandboxGone& gone) { return Writer(kSandboxGone).Text(gone.id).Take(); }
std::string Encode(const EndpointRecord& record) {
  return Writer(kEndpoint)
      .Text(record.network_id)
      .Text(record.network_name)
      .Text(record.container_id)
      .List(record.names)
      .Text(record.address)
      .Text(record.address6)
      .Take();
}
std::string Encode(const EndpointGone& gone) {
  return Writer(kEndpointGone).Text(gone.network_id).Text(gone.container_id).Take();
}

}  // namespace

std::string EncodeControl(const ControlMessage& message) {
  return std::visit([](const auto& one) { return Encode(one); }, message);
}

std::optional<ControlMessage> DecodeControl(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  Reader reader(bytes.substr(1));
  ControlMessage message;
  switch (bytes[0]) {
    case kSandbox: {
      SandboxRecord record;
      record.id = reader.Text();
      record.network_ids = reader.List();
      record.upstreams = reader.List();
      uint32_t links = reader.Number();
      for (; links > 0 && links <= bytes.size(); --links) {
        std::string name = reader.Text();
        record.links[std::move(name)] = reader.Text();
      }
      message = std::move(record);
      break;
    }
    case kSandboxGone:
      message = SandboxGone{reader.Text()};
      break;
    case kEndpoint: {
      EndpointRecord record;
      record.network_id = reader.Text();
      record.network_name = reader.Text();
      record.container_id = reader.Text();
      record.names = reader.List();
      record.address = reader.Text();
      record.address6 = reader.Text();
      message = std::move(record);
      break;
    }
    case kEndpointGone: {
      EndpointGone gone;
      gone.network_id = reader.Text();
      gone.container_id = reader.Text();
      message = std::move(gone);
      break;
    }
    default:
      return std::nullopt;
  }
  if (!reader.done()) return std::nullopt;
  return message;
}

}  // namespace slipway::dns
