#include "base/logging.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <array>
#include <charconv>
#include <cmath>
#include <exception>
#include <mutex>

namespace longbow {
namespace {

constexpr char kJsonPattern[] = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";
constexpr char kConsolePattern[] = "%Y-%m-%d %H:%M:%S.%e %^%-5l%$ %v";

struct LevelName {
  std::string_view name;
  LogLevel level;
  spdlog::level::level_enum backend;
};
constexpr std::array<LevelName, 4> kLevels = {{{"debug", LogLevel::kDebug, spdlog::level::debug},
                                               {"info", LogLevel::kInfo, spdlog::level::info},
                                               {"warn", LogLevel::kWarn, spdlog::level::warn},
                                               {"error", LogLevel::kError, spdlog::level::err}}};

// Hands finished lines to a function. The base class holds its mutex around sink_it_.
class FunctionSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FunctionSink(std::function<void(std::string_view)> sink) : sink_(std::move(sink)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& event) override {
    spdlog::memory_buf_t line;
    formatter_->format(event, line);
    std::string_view text(line.data(), line.size());
    if (text.ends_with('\n')) {
      text.remove_suffix(1);
    }
    sink_(text);
  }
  void flush_() override {}

 private:
  const std::function<void(std::string_view)> sink_;
};

// Quotes `text` for JSON. Control characters are escaped, so that nothing a client sends can forge a line; bytes that
// are not ASCII pass as they are.
void AppendQuoted(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

// Text without blanks, quotes and control characters may stand as it is in a line for people.
bool IsPlain(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == '"' || c == '\\' || c == '=' || c == 0x7f) {
      return false;
    }
  }
  return !text.empty();
}

template <typename Number>
void AppendNumber(Number number, std::string& out) {
  std::array<char, 32> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  out.append(buffer.data(), end);
}

void AppendValue(const LogField::Value& value, LogFormat format, std::string& out) {
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          if (format == LogFormat::kConsole && IsPlain(v)) {
            out += v;
          } else {
            AppendQuoted(v, out);
          }
        } else if constexpr (std::is_same_v<T, bool>) {
          out += v ? "true" : "false";
        } else if constexpr (std::is_same_v<T, double>) {
          if (std::isfinite(v)) {
            AppendNumber(v, out);
          } else {
            out += "null";  // JSON has no word for it
          }
        } else {
          AppendNumber(v, out);
        }
      },
      value);
}

// The part of the line after time and level.
std::string Body(LogFormat format, std::string_view message, LogFields fields) {
  std::string body;
  if (format == LogFormat::kJson) {
    body += "\"message\":";
    AppendQuoted(message, body);
  } else {
    for (const char c : message) {
      body += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  for (const LogField& field : fields) {
    if (format == LogFormat::kJson) {
      body += ',';
      AppendQuoted(field.key, body);
      body += ':';
    } else {
      body += ' ';
      body += field.key;
      body += '=';
    }
    AppendValue(field.value, format, body);
  }
  return body;
}

// spdlog calls its levels "warning" and "error"; ours keep the names of the configuration.
class LevelFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& event, const std::tm&, spdlog::memory_buf_t& line) override {
    for (const LevelName& level : kLevels) {
      if (level.backend == event.level) {
        line.append(level.name.data(), level.name.data() + level.name.size());
        for (size_t width = level.name.size(); width < padinfo_.width_; ++width) {
          line.push_back(' ');
        }
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<LevelFlag>(); }
};

std::shared_ptr<spdlog::sinks::sink> MakeSink(const LoggerOptions& options) {
  std::shared_ptr<spdlog::sinks::sink> sink;
  if (options.sink) {
    sink = std::make_shared<FunctionSink>(options.sink);
  } else if (options.format == LogFormat::kConsole) {
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(spdlog::color_mode::never);
  }
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<LevelFlag>('l');
  formatter->set_pattern(options.format == LogFormat::kJson ? kJsonPattern : kConsolePattern);
  sink->set_formatter(std::move(formatter));
  return sink;
}

}  // namespace

struct Logger::Backend {
  spdlog::logger logger;
};

Logger::Logger(LoggerOptions options)
    : level_(options.level),
      format_(options.format),
      backend_(std::make_unique<Backend>(Backend{spdlog::logger("longbow", MakeSink(options))})) {
  backend_->logger.set_level(spdlog::level::trace);  // the level is ours to check, once
}

Logger::~Logger() = default;

void Logger::Write(LogLevel level, std::string_view message, LogFields fields) {
  try {
    const std::string body = Body(format_, message, fields);
    backend_->logger.log(kLevels[static_cast<size_t>(level)].backend, spdlog::string_view_t(body.data(), body.size()));
  } catch (const std::exception&) {
    return;  // out of memory or a closed stderr: the work goes on, the line is lost
  }
}

Result<LogLevel> ParseLogLevel(std::string_view text) {
  for (const LevelName& level : kLevels) {
    if (level.name == text) {
      return level.level;
    }
  }
  return InvalidArgument("unknown log level '" + std::string(text) + "': debug, info, warn or error");
}

Result<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "json") {
    return LogFormat::kJson;
  }
  if (text == "console") {
    return LogFormat::kConsole;
  }
  return InvalidArgument("unknown log format '" + std::string(text) + "': json or console");
}

}  // namespace longbow
