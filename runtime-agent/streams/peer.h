#ifndef RUNTIME_AGENT_STREAMS_PEER_H_
#define RUNTIME_AGENT_STREAMS_PEER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace slipway::agent {

struct AttachOptions {
  bool input = false;
  bool standard_out = false;
  bool standard_error = false;
};

// The client's end of an attached stream. Called on the loop, never blocking. After Ready or Output
// nothing more is sent until the source hears PeerReady.
class StreamPeer {
 public:
  virtual ~StreamPeer() = default;
  virtual void Ready(bool tty) = 0;
  // `stream`: 1 stdout, 2 stderr.
  virtual void Output(uint8_t stream, std::string data) = 0;
  // All input up to its end was taken. Sent once, as Output is.
  virtual void InputDone() = 0;
  // Nothing follows these two.
  virtual void End(int exit_code) = 0;
  virtual void Fail(absl::Status status) = 0;
  // The next input message may come.
  virtual void WantInput() = 0;
};

// What a peer is attached to. Called on the loop.
class StreamSource {
 public:
  virtual ~StreamSource() = default;
  virtual void PeerReady() = 0;
  // WantInput answers it when it was taken.
  virtual void Input(std::string data) = 0;
  virtual void CloseInput() = 0;
  virtual void Resize(uint32_t rows, uint32_t columns) = 0;
  virtual void PeerGone() = 0;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_STREAMS_PEER_H_
