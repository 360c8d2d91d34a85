#include "base/config.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/parse_value.h"
#include "base/suggest.h"
#include "base/toml_file.h"

namespace longbow {
namespace {

constexpr std::string_view kPrefix = "LONGBOW_";

std::string Upper(std::string_view name) {
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper;
}

std::string Lower(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// snake_case -> --kebab-case
std::string FlagName(std::string_view name) {
  std::string flag = "--" + std::string(name);
  std::ranges::replace(flag, '_', '-');
  return flag;
}

std::string FormatNumber(double number) {
  char buffer[32];
  std::snprintf(buffer, sizeof(buffer), "%.15g", number);
  return buffer;
}

Status CheckBounds(const Option& option, double value, std::string_view text, std::string_view unit) {
  if (value >= option.min && value <= option.max) {
    return {};
  }
  const std::string suffix = unit.empty() ? "" : " " + std::string(unit);
  std::string expected = "at least " + FormatNumber(option.min) + suffix;
  if (option.max != std::numeric_limits<double>::max()) {
    expected = "between " + FormatNumber(option.min) + " and " + FormatNumber(option.max) + suffix;
  }
  return InvalidArgument("must be " + expected + ", got '" + std::string(text) + "'");
}

Status CheckChoice(const Option& option, std::string_view text) {
  std::string_view rest = option.choices;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, end) == text) {
      return {};
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return InvalidArgument("must be one of: " + std::string(option.choices) + "; got '" + std::string(text) + "'");
}

// Whether `text` is a value that the option may have.
Status CheckText(const Option& option, std::string_view text) {
  switch (option.type) {
    case OptionType::kString:
      return option.choices.empty() ? Status() : CheckChoice(option, text);
    case OptionType::kBool:
      return ParseBool(text).status();
    case OptionType::kInt: {
      LB_ASSIGN(const int64_t value, ParseInt(text));
      return CheckBounds(option, static_cast<double>(value), text, "");
    }
    case OptionType::kFloat: {
      LB_ASSIGN(const double value, ParseFloat(text));
      return CheckBounds(option, value, text, "");
    }
    case OptionType::kDuration: {
      LB_ASSIGN(const std::chrono::nanoseconds value, ParseDuration(text));
      return CheckBounds(option, std::chrono::duration<double>(value).count(), text, "seconds");
    }
    case OptionType::kSize: {
      LB_ASSIGN(const uint64_t value, ParseSize(text));
      return CheckBounds(option, static_cast<double>(value), text, "bytes");
    }
  }
  return Internal("option type " + std::to_string(static_cast<int>(option.type)));
}

// Which kinds of TOML values an option takes, in words for the message; empty if `kind` is one of them.
std::string_view WrongKind(OptionType type, TomlKind kind) {
  switch (type) {
    case OptionType::kString:
      return kind == TomlKind::kString ? "" : "a string in quotes";
    case OptionType::kBool:
      return kind == TomlKind::kBoolean ? "" : "true or false, without quotes";
    case OptionType::kInt:
      return kind == TomlKind::kInteger ? "" : "a whole number, without quotes";
    case OptionType::kFloat:
      return kind == TomlKind::kFloat || kind == TomlKind::kInteger ? "" : "a number, without quotes";
    case OptionType::kDuration:
      return kind == TomlKind::kString ? "" : "a duration in quotes, such as \"200ms\"";
    case OptionType::kSize:
      return kind == TomlKind::kInteger || kind == TomlKind::kString ? ""
                                                                     : "bytes, or a size in quotes such as \"64MiB\"";
  }
  return "another type";
}

// A valid text as TOML writes it.
std::string TomlValue(OptionType type, const std::string& text) {
  switch (type) {
    case OptionType::kBool:
      return ParseBool(text).value() ? "true" : "false";
    case OptionType::kInt:
      return std::to_string(ParseInt(text).value());
    case OptionType::kFloat:
      return FormatNumber(ParseFloat(text).value());
    case OptionType::kString:
    case OptionType::kDuration:
    case OptionType::kSize:
      break;
  }
  return QuoteToml(text);
}

// The file to read: the last --config, else LONGBOW_CONFIG, else none.
Result<std::string> ConfigPath(std::span<const std::string> arguments, const Environment& environment) {
  const auto variable = environment.find(std::string(kPrefix) + "CONFIG");
  std::string path = variable == environment.end() ? "" : variable->second;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].starts_with("--config=")) {
      path = arguments[i].substr(9);
    } else if (arguments[i] == "--config") {
      if (i + 1 == arguments.size()) {
        return InvalidArgument("flag --config: the file is missing");
      }
      path = arguments[++i];
    }
  }
  return path;
}

}  // namespace

Result<Config> Config::Load(std::span<const Option> options, std::span<const std::string_view> not_honoured,
                            std::span<const std::string> arguments, const Environment& environment, FileSystem& fs) {
  Config config;
  for (const Option& option : options) {
    LB_CHECK(CheckText(option, option.default_text).ok());
    config.settings_.push_back({&option, std::string(option.default_text), "default"});
  }
  LB_ASSIGN(const std::string path, ConfigPath(arguments, environment));
  if (!path.empty()) {
    LB_TRY(config.SetFromFile(path, fs));
  }
  LB_TRY(config.SetFromEnvironment(environment));
  LB_TRY(config.CheckEnvironment(not_honoured, environment));
  LB_TRY(config.SetFromArguments(arguments));
  return config;
}

Config::Setting* Config::FindKey(std::string_view name) {
  const auto found = std::ranges::find(settings_, name, [](const Setting& setting) { return setting.option->name; });
  return found == settings_.end() ? nullptr : &*found;
}

std::string Config::DidYouMean(std::string_view key) const {
  std::vector<std::string_view> known;
  for (const Setting& setting : settings_) {
    known.push_back(setting.option->name);
  }
  return Nearest(key, known);
}

Status Config::Set(Setting& setting, std::string text, std::string source) {
  if (const Status status = CheckText(*setting.option, text); !status.ok()) {
    return InvalidArgument(source + ": " + std::string(setting.option->name) + " " + std::string(status.message()));
  }
  setting.text = std::move(text);
  setting.source = std::move(source);
  return {};
}

Status Config::SetFromFile(const std::string& path, FileSystem& fs) {
  LB_ASSIGN(const std::string content, ReadWholeFile(fs, path));
  LB_ASSIGN(const std::vector<TomlEntry> entries, ParseToml(content, path));
  for (const TomlEntry& entry : entries) {
    const std::string place = path + ":" + std::to_string(entry.line);
    Setting* setting = FindKey(entry.key);
    if (setting == nullptr) {
      const std::string near = DidYouMean(entry.key);
      return InvalidArgument(place + ": unknown key '" + entry.key + "'" +
                             (near.empty() ? "" : "; did you mean '" + near + "'?"));
    }
    if (const std::string_view expected = WrongKind(setting->option->type, entry.kind); !expected.empty()) {
      return InvalidArgument(place + ": " + entry.key + " expected " + std::string(expected));
    }
    LB_TRY(Set(*setting, entry.text, place));
  }
  return {};
}

Status Config::SetFromEnvironment(const Environment& environment) {
  for (Setting& setting : settings_) {
    const std::string bare = Upper(setting.option->name);
    for (const std::string& name : {std::string(kPrefix) + bare, bare}) {
      if (const auto variable = environment.find(name); variable != environment.end() && !variable->second.empty()) {
        LB_TRY(Set(setting, variable->second, "environment " + name));
        break;
      }
    }
  }
  return {};
}

Status Config::CheckEnvironment(std::span<const std::string_view> not_honoured, const Environment& environment) {
  for (const std::string_view name : not_honoured) {
    for (const std::string& variable : {std::string(kPrefix) + Upper(name), Upper(name)}) {
      if (const auto found = environment.find(variable); found != environment.end() && !found->second.empty()) {
        warnings_.push_back("environment " + variable + " is set but not honoured by this version");
      }
    }
  }
  for (const auto& [variable, value] : environment) {
    if (!variable.starts_with(kPrefix)) {
      continue;
    }
    const std::string key = Lower(variable.substr(kPrefix.size()));
    if (FindKey(key) != nullptr || std::ranges::find(not_honoured, key) != not_honoured.end()) {
      continue;
    }
    // Others may own names with our prefix (Kubernetes makes LONGBOW_PORT for a service): only near misses are errors.
    if (const std::string near = DidYouMean(key); !near.empty()) {
      return InvalidArgument("unknown environment variable " + variable + "; did you mean " + std::string(kPrefix) +
                             Upper(near) + "?");
    }
  }
  return {};
}

Status Config::SetFromArguments(std::span<const std::string> arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("--") || argument.size() == 2) {
      return InvalidArgument("unexpected argument '" + argument + "': options start with --");
    }
    const size_t equals = std::min(argument.find('='), argument.size());
    std::string key = argument.substr(2, equals - 2);
    std::ranges::replace(key, '-', '_');
    std::optional<std::string> value;
    if (equals < argument.size()) {
      value = argument.substr(equals + 1);
    }
    Setting* setting = FindKey(key);
    if (setting == nullptr && key != "config") {
      const std::string near = DidYouMean(key);
      return InvalidArgument("unknown flag " + argument +
                             (near.empty() ? "" : "; did you mean " + FlagName(near) + "?"));
    }
    if (!value && setting != nullptr && setting->option->type == OptionType::kBool) {
      value = "true";
    }
    if (!value) {
      if (i + 1 == arguments.size()) {
        return InvalidArgument("flag " + argument + ": the value is missing");
      }
      value = arguments[++i];
    }
    if (setting != nullptr) {
      LB_TRY(Set(*setting, *std::move(value), "flag " + FlagName(key)));
    }
  }
  return {};
}

const Config::Setting& Config::Find(std::string_view name, OptionType type) const {
  const auto found = std::ranges::find(settings_, name, [](const Setting& setting) { return setting.option->name; });
  LB_CHECK(found != settings_.end());
  LB_CHECK(found->option->type == type);
  return *found;
}

const std::string& Config::Source(std::string_view name) const {
  const auto found = std::ranges::find(settings_, name, [](const Setting& setting) { return setting.option->name; });
  LB_CHECK(found != settings_.end());
  return found->source;
}

const std::string& Config::String(std::string_view name) const { return Find(name, OptionType::kString).text; }
bool Config::Bool(std::string_view name) const { return ParseBool(Find(name, OptionType::kBool).text).value(); }
int64_t Config::Int(std::string_view name) const { return ParseInt(Find(name, OptionType::kInt).text).value(); }
double Config::Float(std::string_view name) const { return ParseFloat(Find(name, OptionType::kFloat).text).value(); }
std::chrono::nanoseconds Config::Duration(std::string_view name) const {
  return ParseDuration(Find(name, OptionType::kDuration).text).value();
}
uint64_t Config::Size(std::string_view name) const { return ParseSize(Find(name, OptionType::kSize).text).value(); }

std::string Config::ToToml() const {
  std::string toml;
  for (const auto& [option, text, source] : settings_) {
    if (option->secret && !text.empty()) {
      toml += "# " + std::string(option->name) + " is set and not shown  # " + source + "\n";
      continue;
    }
    toml += std::string(option->name) + " = " + TomlValue(option->type, text) + "  # " + source + "\n";
  }
  return toml;
}

std::string DescribeOptions(std::span<const Option> options) {
  std::string text;
  for (const Option& option : options) {
    text += "  " + FlagName(option.name);
    text += option.default_text.empty() ? "" : "  (default " + std::string(option.default_text) + ")";
    text += "\n      " + std::string(option.help) + "\n";
  }
  return text;
}

Environment ProcessEnvironment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) {
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return environment;
}

}  // namespace longbow
