#include "image-service/clients/auth_challenge.h"

#include <utility>

#include "absl/strings/ascii.h"

namespace slipway::image {
namespace {

constexpr size_t kMaxChallenges = 8;
constexpr size_t kMaxParameters = 16;

// RFC 9110, 5.6.2.
bool IsTokenChar(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         absl::string_view("!#$%&'*+-.^_`|~").find(c) != absl::string_view::npos;
}

class Scanner {
 public:
  explicit Scanner(absl::string_view text) : rest_(text) {}

  void SkipBlanks(bool commas) {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || (commas && rest_[0] == ','))) {
      rest_.remove_prefix(1);
    }
  }
  std::string Token() {
    size_t end = 0;
    while (end < rest_.size() && IsTokenChar(rest_[end])) ++end;
    const std::string token = absl::AsciiStrToLower(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return token;
  }
  bool Take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // quoted-string or token.
  bool Value(std::string* value) {
    value->clear();
    if (!Take('"')) {
      size_t end = 0;
      while (end < rest_.size() && IsTokenChar(rest_[end])) ++end;
      *value = std::string(rest_.substr(0, end));
      rest_.remove_prefix(end);
      return end > 0;
    }
    while (!rest_.empty() && rest_[0] != '"') {
      if (rest_[0] == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
      value->push_back(rest_[0]);
      rest_.remove_prefix(1);
    }
    return Take('"');
  }
  absl::string_view rest() const { return rest_; }
  void Reset(absl::string_view rest) { rest_ = rest; }

 private:
  absl::string_view rest_;
};

}  // namespace

std::vector<AuthChallenge> ParseAuthChallenges(absl::string_view header) {
  std::vector<AuthChallenge> challenges;
  Scanner scanner(header);
  while (challenges.size() < kMaxChallenges) {
    scanner.SkipBlanks(/*commas=*/true);
    AuthChallenge challenge;
    challenge.scheme = scanner.Token();
    if (challenge.scheme.empty()) break;
    while (challenge.parameters.size() < kMaxParameters) {
      scanner.SkipBlanks(/*commas=*/true);
      const absl::string_view before = scanner.rest();
      const std::string name = scanner.Token();
      scanner.SkipBlanks(/*commas=*/false);
      if (name.empty() || !scanner.Take('=')) {
        // No "=": the next challenge begins here.
        scanner.Reset(before);
        break;
      }
      scanner.SkipBlanks(/*commas=*/false);
      std::string value;
      if (!scanner.Value(&value)) return challenges;
      challenge.parameters[name] = std::move(value);
    }
    challenges.push_back(std::move(challenge));
  }
  return challenges;
}

}  // namespace slipway::image
