// Structured logs: one line per event, on stderr, as JSON or for people.
//
// The Logger is an object that bin/ builds and passes down, not a global: a test sees exactly the lines of the object
// it made, and two nodes in one process (simulation, `longbow up`) keep their lines apart.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/status.h"

namespace longbow {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : uint8_t { kJson, kConsole };

// "debug", "info", "warn", "error" and "json", "console". INVALID_ARGUMENT naming what would be right.
Result<LogLevel> ParseLogLevel(std::string_view text);
Result<LogFormat> ParseLogFormat(std::string_view text);

// One key and its value. Refers to the text it was made from: build it in the call.
struct LogField {
  using Value = std::variant<std::string_view, int64_t, uint64_t, double, bool>;

  template <typename T>
  LogField(std::string_view field_key, const T& field_value) : key(field_key), value(Convert(field_value)) {}

  std::string_view key;
  Value value;

 private:
  template <typename T>
  static Value Convert(const T& v) {
    if constexpr (std::is_same_v<T, bool>) {
      return v;
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<double>(v);
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      return static_cast<int64_t>(v);
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<uint64_t>(v);
    } else {
      return std::string_view(v);
    }
  }
};

using LogFields = std::initializer_list<LogField>;

struct LoggerOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kJson;
  std::function<void(std::string_view line)> sink;  // empty: stderr. Called by one thread at a time
};

//   logger.Info("checkpoint written", {{"rows", rows}, {"took_ms", took_ms}});
//   -> {"time":"2026-01-31T12:00:00.123Z","level":"info","message":"checkpoint written","rows":1000,"took_ms":12}
// Thread safe. A line below the level costs one relaxed load and the making of its fields; where making them is dear,
// ask Enabled first. Never throws; a line that cannot be written is lost.
class Logger {
 public:
  explicit Logger(LoggerOptions options);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  bool Enabled(LogLevel level) const { return level >= level_.load(std::memory_order_relaxed); }
  void SetLevel(LogLevel level) { level_.store(level, std::memory_order_relaxed); }

  void Debug(std::string_view message, LogFields fields = {}) { Log(LogLevel::kDebug, message, fields); }
  void Info(std::string_view message, LogFields fields = {}) { Log(LogLevel::kInfo, message, fields); }
  void Warn(std::string_view message, LogFields fields = {}) { Log(LogLevel::kWarn, message, fields); }
  void Error(std::string_view message, LogFields fields = {}) { Log(LogLevel::kError, message, fields); }
  void Log(LogLevel level, std::string_view message, LogFields fields) {
    if (Enabled(level)) {
      Write(level, message, fields);
    }
  }

 private:
  struct Backend;  // spdlog, kept out of this header for the sake of compile time

  void Write(LogLevel level, std::string_view message, LogFields fields);

  std::atomic<LogLevel> level_;
  const LogFormat format_;
  const std::unique_ptr<Backend> backend_;
};

}  // namespace longbow
