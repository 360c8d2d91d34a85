#include "base/logging.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>
#include <vector>

namespace longbow {
namespace {

struct Captured {
  explicit Captured(LogLevel level = LogLevel::kInfo, LogFormat format = LogFormat::kJson)
      : logger(
            {.level = level, .format = format, .sink = [this](std::string_view line) { lines.emplace_back(line); }}) {}
  std::vector<std::string> lines;
  Logger logger;
};

// What follows the time and the level.
std::string AfterLevel(const std::string& line) {
  const size_t at = line.find("\"message\"");
  return at == std::string::npos ? "no message in " + line : line.substr(at);
}

TEST(Logger, JsonLineHasTimeLevelMessageAndTypedFields) {
  Captured log;
  log.logger.Info("checkpoint written",
                  {{"rows", 1000u}, {"delta", -3}, {"ratio", 0.5}, {"full", true}, {"dataset", std::string("docs")}});
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_EQ(AfterLevel(log.lines[0]),
            R"("message":"checkpoint written","rows":1000,"delta":-3,"ratio":0.5,"full":true,"dataset":"docs"})");
  EXPECT_EQ(log.lines[0].find(R"({"time":"20)"), 0u) << log.lines[0];
  EXPECT_NE(log.lines[0].find(R"(Z","level":"info",)"), std::string::npos) << log.lines[0];
}

TEST(Logger, LevelsCarryTheNamesOfTheConfiguration) {
  Captured log(LogLevel::kDebug);
  log.logger.Debug("a");
  log.logger.Warn("b");
  log.logger.Error("c");
  ASSERT_EQ(log.lines.size(), 3u);
  EXPECT_NE(log.lines[0].find(R"("level":"debug")"), std::string::npos);
  EXPECT_NE(log.lines[1].find(R"("level":"warn")"), std::string::npos);
  EXPECT_NE(log.lines[2].find(R"("level":"error")"), std::string::npos);
}

TEST(Logger, NothingInAValueCanForgeALine) {
  Captured log;
  log.logger.Info("bad\nname", {{"name", "a\"b\\c\n{\"level\":\"error\"}\x01"}});
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_EQ(AfterLevel(log.lines[0]), R"("message":"bad\nname","name":"a\"b\\c\n{\"level\":\"error\"}\u0001"})");
}

TEST(Logger, NumbersThatJsonCannotHoldAreNull) {
  Captured log;
  log.logger.Info("x", {{"recall", std::nan("")}});
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_EQ(AfterLevel(log.lines[0]), R"("message":"x","recall":null})");
}

TEST(Logger, BelowTheLevelNothingIsWritten) {
  Captured log(LogLevel::kWarn);
  log.logger.Debug("a");
  log.logger.Info("b");
  EXPECT_TRUE(log.lines.empty());
  EXPECT_FALSE(log.logger.Enabled(LogLevel::kInfo));
  log.logger.SetLevel(LogLevel::kInfo);
  log.logger.Info("c");
  EXPECT_EQ(log.lines.size(), 1u);
}

TEST(Logger, ConsoleIsForPeople) {
  Captured log(LogLevel::kInfo, LogFormat::kConsole);
  log.logger.Warn("slow disk", {{"path", "/data"}, {"why", "two words"}, {"took_ms", 12}});
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_NE(log.lines[0].find(R"(warn  slow disk path=/data why="two words" took_ms=12)"), std::string::npos)
      << log.lines[0];
}

TEST(Logger, BracesInAMessageAreText) {
  Captured log;
  log.logger.Info("{} %v {0}");
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_EQ(AfterLevel(log.lines[0]), R"("message":"{} %v {0}"})");
}

TEST(Logger, LinesOfManyThreadsStayWhole) {
  Captured log;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 250; ++i) {
        log.logger.Info("tick", {{"i", i}});
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  ASSERT_EQ(log.lines.size(), 1000u);
  for (const std::string& line : log.lines) {
    EXPECT_TRUE(line.starts_with('{') && line.ends_with('}')) << line;
  }
}

TEST(Logger, UnknownNamesAreRefused) {
  EXPECT_EQ(ParseLogLevel("warn").value(), LogLevel::kWarn);
  EXPECT_EQ(ParseLogLevel("loud").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseLogFormat("console").value(), LogFormat::kConsole);
  EXPECT_EQ(ParseLogFormat("xml").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace longbow
