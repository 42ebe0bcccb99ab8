#include "gateway/docker/import_changes.h"

#include <boost/json/parse.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status/status_macros.h"
#include "gateway/docker/create_host_config.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;
using slipway::image::v1::ImageConfig;

// A JSON list of strings; nothing for anything else.
std::optional<std::vector<std::string>> JsonList(absl::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_array()) return std::nullopt;
  std::vector<std::string> words;
  for (const json::value& item : value.get_array()) {
    if (!item.is_string()) return std::nullopt;
    words.emplace_back(item.get_string());
  }
  return words;
}

// Words as a Dockerfile has them: quotes group, a backslash takes the next character as it is.
std::vector<std::string> Words(absl::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool inside = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == 0 && absl::ascii_isspace(c)) {
      if (inside) words.push_back(std::exchange(word, ""));
      inside = false;
      continue;
    }
    inside = true;
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word.push_back(text[++i]);
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    } else {
      word.push_back(c);
    }
  }
  if (inside) words.push_back(word);
  return words;
}

// The exec form, or the shell form behind /bin/sh -c.
std::vector<std::string> Command(absl::string_view arguments) {
  if (auto list = JsonList(arguments)) return *list;
  return {"/bin/sh", "-c", std::string(arguments)};
}

template <typename List>
void Replace(std::vector<std::string> words, List* list) {
  list->Clear();
  for (std::string& word : words) *list->Add() = std::move(word);
}

// "NAME=value NAME2=value2", or "NAME the rest".
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> Pairs(
    absl::string_view verb, absl::string_view arguments) {
  std::vector<std::pair<std::string, std::string>> pairs;
  const std::vector<std::string> words = Words(arguments);
  if (!words.empty() && words[0].find('=') == std::string::npos) {
    const size_t space = arguments.find_first_of(" \t");
    if (space == absl::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat(verb, " must have two arguments"));
    }
    pairs.emplace_back(words[0], std::string(absl::StripAsciiWhitespace(arguments.substr(space))));
    return pairs;
  }
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("Syntax error - can't find = in \"", word, "\""));
    }
    pairs.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return pairs;
}

void SetEnv(const std::string& name, const std::string& value, ImageConfig& config) {
  const std::string variable = absl::StrCat(name, "=", value);
  for (std::string& present : *config.mutable_env()) {
    if (absl::StartsWith(present, absl::StrCat(name, "="))) {
      present = variable;
      return;
    }
  }
  config.add_env(variable);
}

absl::Status Expose(absl::string_view arguments, ImageConfig& config) {
  for (const std::string& word : Words(arguments)) {
    ASSIGN_OR_RETURN(const PortRange range, ParsePort(word));
    for (uint32_t port = range.first; port <= range.last; ++port) {
      config.add_exposed_ports(absl::StrCat(port, "/", range.protocol));
    }
  }
  return absl::OkStatus();
}

absl::Status ApplyPairs(const std::string& verb, absl::string_view arguments, ImageConfig& config) {
  ASSIGN_OR_RETURN(const auto pairs, Pairs(verb, arguments));
  for (const auto& [name, value] : pairs) {
    if (verb == "ENV") {
      SetEnv(name, value, config);
    } else {
      (*config.mutable_labels())[name] = value;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyChange(absl::string_view instruction, ImageConfig& config) {
  instruction = absl::StripAsciiWhitespace(instruction);
  const size_t space = instruction.find_first_of(" \t");
  const std::string verb = absl::AsciiStrToUpper(instruction.substr(0, space));
  const absl::string_view arguments =
      space == absl::string_view::npos ? "" : absl::StripAsciiWhitespace(instruction.substr(space));
  if (arguments.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(verb, " requires at least one argument"));
  }
  if (verb == "CMD") {
    Replace(Command(arguments), config.mutable_command());
  } else if (verb == "ENTRYPOINT") {
    Replace(Command(arguments), config.mutable_entrypoint());
  } else if (verb == "ENV" || verb == "LABEL") {
    return ApplyPairs(verb, arguments, config);
  } else if (verb == "EXPOSE") {
    return Expose(arguments, config);
  } else if (verb == "ONBUILD") {
    config.add_on_build(std::string(arguments));
  } else if (verb == "STOPSIGNAL") {
    config.set_stop_signal(std::string(arguments));
  } else if (verb == "USER") {
    config.set_user(std::string(arguments));
  } else if (verb == "VOLUME") {
    for (std::string& path : JsonList(arguments).value_or(Words(arguments))) {
      config.add_volumes(std::move(path));
    }
  } else if (verb == "WORKDIR") {
    config.set_working_directory(std::string(arguments));
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(absl::AsciiStrToLower(verb), " is not a valid change command"));
  }
  return absl::OkStatus();
}

}  // namespace slipway::gateway
