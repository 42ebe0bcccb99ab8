#include "services/log/store/unpack_ahead.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/os/thread.h"
#include "services/log/store/sealed_format.h"

namespace slipway::log {
namespace {

// How many ranges are unpacked, or being so, at one time.
constexpr size_t kWindow = 3;

}  // namespace

void UnpackFrames(const SegmentFile& file, size_t first, size_t last, std::vector<char>& bytes,
                  size_t& size) {
  size = 0;
  for (size_t i = first; i < last; ++i) size += file.frames[i].bytes;
  if (bytes.size() < size) bytes.resize(size);
  char* to = bytes.data();
  for (size_t i = first; i < last; ++i) {
    const SealedFrame& frame = file.frames[i];
    if (!ReadFrame(file.fd.get(), frame, to)) memset(to, 0, frame.bytes);
    to += frame.bytes;
  }
}

UnpackAhead::UnpackAhead(std::shared_ptr<const SegmentFile> file, const FrameChoice& wanted,
                         size_t first, size_t most_bytes)
    : file_(std::move(file)) {
  const std::vector<SealedFrame>& frames = file_->frames;
  size_t bytes = 0;
  for (size_t i = first; i < frames.size(); ++i) {
    if (wanted != nullptr && !(*wanted)[i]) continue;
    const bool joins =
        !ranges_.empty() && ranges_.back().last == i && bytes + frames[i].bytes <= most_bytes;
    if (!joins) {
      ranges_.push_back({.first = i});
      bytes = 0;
    }
    ranges_.back().last = i + 1;
    bytes += frames[i].bytes;
  }
}

UnpackAhead::~UnpackAhead() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

UnpackAhead::Range* UnpackAhead::TakeNext() {
  if (next_ == ranges_.size() || next_ >= front_ + kWindow) return nullptr;
  Range& range = ranges_[next_++];
  if (!spare_.empty()) {
    range.bytes.swap(spare_.back());
    spare_.pop_back();
  }
  return &range;
}

void UnpackAhead::Unpack(Range& range) {
  UnpackFrames(*file_, range.first, range.last, range.bytes, range.size);
  absl::MutexLock lock(&mu_);
  range.done = true;
}

void UnpackAhead::Run() {
  NameThread("unpack");
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || next_ == ranges_.size() || next_ < front_ + kWindow;
  };
  while (true) {
    Range* range = nullptr;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&ready));
      range = stopping_ ? nullptr : TakeNext();
    }
    if (range == nullptr) return;
    Unpack(*range);
  }
}

bool UnpackAhead::Take(const SegmentFile& file, size_t frame, ReadBuffer& buffer) {
  if (file_.get() != &file) return false;
  Range* wanted = nullptr;
  {
    absl::MutexLock lock(&mu_);
    if (front_ == ranges_.size() || ranges_[front_].first != frame) return false;
    wanted = &ranges_[front_];
  }
  while (true) {
    Range* range = nullptr;
    {
      absl::MutexLock lock(&mu_);
      if (wanted->done) break;
      range = TakeNext();
      if (range == nullptr) {
        mu_.Await(absl::Condition(&wanted->done));
        break;
      }
      if (!thread_.joinable() && next_ < ranges_.size()) thread_ = std::thread([this] { Run(); });
    }
    Unpack(*range);
  }
  absl::MutexLock lock(&mu_);
  buffer.bytes.swap(wanted->bytes);
  buffer.size = wanted->size;
  spare_.push_back(std::move(wanted->bytes));
  ++front_;
  return true;
}

}  // namespace slipway::log
