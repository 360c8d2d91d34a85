// Configuration from a table of options: flag > environment > TOML file > default.
//
// An option `listen_addr` is the flag --listen-addr (or --listen_addr), the environment variable LONGBOW_LISTEN_ADDR or
// else LISTEN_ADDR, and the top-level TOML key listen_addr. The file is named by --config or LONGBOW_CONFIG; there is
// no default place for it. An environment variable that is set but empty counts as not set.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/status.h"

namespace longbow {

enum class OptionType : uint8_t { kString, kBool, kInt, kFloat, kDuration, kSize };

// One line of the table. The texts live as long as the program.
struct Option {
  std::string_view name;  // snake_case
  OptionType type = OptionType::kString;
  std::string_view default_text;  // as a user would write it
  std::string_view help;          // one line
  // Bounds, both included: of the number, the seconds of a duration, the bytes of a size.
  double min = std::numeric_limits<double>::lowest();
  double max = std::numeric_limits<double>::max();
  std::string_view choices = {};  // for strings: the words allowed, with blanks between; empty = any text
  bool secret = false;            // never shown; better set by the environment than by a flag, which others see
};

using Environment = std::map<std::string, std::string>;
Environment ProcessEnvironment();

// The effective values. Immutable after Load; thread safe.
class Config {
 public:
  // `arguments` are those behind the subcommand. INVALID_ARGUMENT names the flag, variable or file:line at fault and,
  // for an unknown flag, key or LONGBOW_ variable, the nearest known one; errors of the file are as ReadWholeFile gives
  // them. `not_honoured`: names in snake_case that other versions know; set in the environment they give a warning, no
  // error.
  static Result<Config> Load(std::span<const Option> options, std::span<const std::string_view> not_honoured,
                             std::span<const std::string> arguments, const Environment& environment, FileSystem& fs);

  // The value of an option of that type; another name or type is a bug and stops the process.
  const std::string& String(std::string_view name) const;
  bool Bool(std::string_view name) const;
  int64_t Int(std::string_view name) const;
  double Float(std::string_view name) const;
  std::chrono::nanoseconds Duration(std::string_view name) const;
  uint64_t Size(std::string_view name) const;

  // Where the value comes from: "default", "flag --hnsw-m", "environment HNSW_M", "longbow.toml:3".
  const std::string& Source(std::string_view name) const;
  // All values as a TOML file that gives them again, each with a comment that says where it comes from. Secrets that
  // are set are left out.
  std::string ToToml() const;
  // One sentence for each variable of `not_honoured` that is set.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  struct Setting {
    const Option* option;
    std::string text;  // valid for its type and bounds
    std::string source;
  };

  const Setting& Find(std::string_view name, OptionType type) const;
  Setting* FindKey(std::string_view name);
  Status Set(Setting& setting, std::string text, std::string source);
  Status SetFromFile(const std::string& path, FileSystem& fs);
  Status SetFromEnvironment(const Environment& environment);
  Status CheckEnvironment(std::span<const std::string_view> not_honoured, const Environment& environment);
  Status SetFromArguments(std::span<const std::string> arguments);
  std::string DidYouMean(std::string_view key) const;

  std::vector<Setting> settings_;  // in the order of the table
  std::vector<std::string> warnings_;
};

// The table as help text: flag, default and explanation, one option a paragraph.
std::string DescribeOptions(std::span<const Option> options);

}  // namespace longbow
