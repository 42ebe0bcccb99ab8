#ifndef CLI_LOG_PRINTER_H_
#define CLI_LOG_PRINTER_H_

#include <array>
#include <functional>
#include <map>
#include <string>

#include "slipway/log/v1/log.pb.h"

namespace slipway::cli {

struct LogFormat {
  bool timestamps = false;
  bool json = false;
  bool names = false;  // put before each line
  bool color = false;
};

// Shows log entries to a person, or as a line of JSON each. Not thread-safe.
class LogPrinter {
 public:
  // `name_of` says what a container is called; asked once for each.
  LogPrinter(const LogFormat& format, std::function<std::string(const std::string& id)> name_of)
      : format_(format), name_of_(std::move(name_of)) {}

  // What is to be written for the entry. To be called once for each, in order: the service cuts a
  // very long line into pieces, and only the first of them has a time and a name before it.
  std::string Text(const log::v1::LogEntry& entry);
  // It goes where the container wrote it, but for JSON, which says so itself, and what tells of
  // dropped bytes.
  bool ToStderr(const log::v1::LogEntry& entry) const;

 private:
  struct Container {
    std::string name;
    std::string color;
    std::array<bool, 2> inside = {};  // of a line: stdout, stderr
  };
  Container& Find(const std::string& id);
  std::string Json(const log::v1::LogEntry& entry, const Container& container) const;

  const LogFormat format_;
  const std::function<std::string(const std::string& id)> name_of_;
  std::map<std::string, Container> containers_;
  size_t widest_ = 0;
};

}  // namespace slipway::cli

#endif  // CLI_LOG_PRINTER_H_
