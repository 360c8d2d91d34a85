#include "base/config.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace longbow {
namespace {

constexpr std::array<Option, 7> kOptions = {{
    {.name = "listen_addr", .default_text = "127.0.0.1:3000", .help = "Where to listen."},
    {.name = "log_format", .default_text = "json", .help = "How logs look.", .choices = "json console"},
    {.name = "allow_remote", .type = OptionType::kBool, .default_text = "false", .help = "Bind wider."},
    {.name = "hnsw_m", .type = OptionType::kInt, .default_text = "16", .help = "Neighbours.", .min = 2, .max = 128},
    {.name = "alpha", .type = OptionType::kFloat, .default_text = "0.5", .help = "Alpha."},
    {.name = "timeout", .type = OptionType::kDuration, .default_text = "2h", .help = "Time.", .min = 0.001},
    {.name = "max_size", .type = OptionType::kSize, .default_text = "64MiB", .help = "Size."},
}};

Result<Config> Load(std::vector<std::string> arguments, Environment environment = {}) {
  static constexpr std::array<std::string_view, 2> kNotHonoured = {"ttl", "hnsw_ma"};
  return Config::Load(kOptions, kNotHonoured, arguments, environment, RealFileSystem());
}

std::string ErrorOf(std::vector<std::string> arguments, Environment environment = {}) {
  const Result<Config> config = Load(std::move(arguments), std::move(environment));
  EXPECT_FALSE(config.ok());
  EXPECT_TRUE(config.ok() || config.status().code() == StatusCode::kInvalidArgument) << config.status().ToString();
  return std::string(config.status().message());
}

class ConfigFile : public testing::Test {
 protected:
  ConfigFile() : path_(testing::TempDir() + "longbow_config_test_" + std::to_string(getpid()) + ".toml") {}
  ~ConfigFile() override { std::filesystem::remove(path_); }
  void Write(std::string_view text) { std::ofstream(path_) << text; }
  const std::string path_;
};

TEST(Config, DefaultsOfEachType) {
  const Result<Config> config = Load({});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->String("listen_addr"), "127.0.0.1:3000");
  EXPECT_FALSE(config->Bool("allow_remote"));
  EXPECT_EQ(config->Int("hnsw_m"), 16);
  EXPECT_EQ(config->Float("alpha"), 0.5);
  EXPECT_EQ(config->Duration("timeout"), std::chrono::hours(2));
  EXPECT_EQ(config->Size("max_size"), 64u << 20);
}

TEST_F(ConfigFile, FlagBeforeEnvironmentBeforeFileBeforeDefault) {
  Write("hnsw_m = 20\nalpha = 1\ntimeout = \"3s\"\nlog_format = 'console'\n");
  const Result<Config> config =
      Load({"--config", path_, "--hnsw-m=40"}, {{"HNSW_M", "30"}, {"LONGBOW_ALPHA", "2"}, {"ALPHA", "3"}});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->Int("hnsw_m"), 40);
  EXPECT_EQ(config->Source("hnsw_m"), "flag --hnsw-m");
  EXPECT_EQ(config->Float("alpha"), 2);
  EXPECT_EQ(config->Duration("timeout"), std::chrono::seconds(3));
  EXPECT_EQ(config->String("log_format"), "console");
}

TEST(Config, FlagsInEachSpelling) {
  const Result<Config> config =
      Load({"--listen_addr", "0.0.0.0:1", "--allow-remote", "--timeout=5m", "--alpha=1", "--alpha=4"});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->String("listen_addr"), "0.0.0.0:1");
  EXPECT_TRUE(config->Bool("allow_remote"));
  EXPECT_EQ(config->Duration("timeout"), std::chrono::minutes(5));
  EXPECT_EQ(config->Float("alpha"), 4);
  EXPECT_FALSE(Load({"--allow-remote=false"})->Bool("allow_remote"));
}

TEST(Config, BareEnvironmentAndEmptyVariables) {
  const Result<Config> config =
      Load({}, {{"MAX_SIZE", "1024"}, {"LONGBOW_HNSW_M", ""}, {"HNSW_M", "8"}, {"TIMEOUT", ""}});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->Size("max_size"), 1024u);
  EXPECT_EQ(config->Int("hnsw_m"), 8);
  EXPECT_EQ(config->Duration("timeout"), std::chrono::hours(2));
}

TEST(Config, UnknownFlagsAreErrorsWithASuggestion) {
  EXPECT_EQ(ErrorOf({"--listen-adr=x"}), "unknown flag --listen-adr=x; did you mean --listen-addr?");
  EXPECT_EQ(ErrorOf({"--colour=red"}), "unknown flag --colour=red");
  EXPECT_EQ(ErrorOf({"stray"}), "unexpected argument 'stray': options start with --");
  EXPECT_EQ(ErrorOf({"--hnsw-m"}), "flag --hnsw-m: the value is missing");
  EXPECT_EQ(ErrorOf({"--config"}), "flag --config: the file is missing");
}

TEST(Config, WrongValuesNameTheirSource) {
  EXPECT_EQ(ErrorOf({"--hnsw-m=x"}), "flag --hnsw-m: hnsw_m expected a whole number, got 'x'");
  EXPECT_EQ(ErrorOf({"--hnsw-m=1000"}), "flag --hnsw-m: hnsw_m must be between 2 and 128, got '1000'");
  EXPECT_EQ(ErrorOf({"--timeout=0"}), "flag --timeout: timeout must be at least 0.001 seconds, got '0'");
  EXPECT_EQ(ErrorOf({}, {{"LONGBOW_ALLOW_REMOTE", "yes"}}),
            "environment LONGBOW_ALLOW_REMOTE: allow_remote expected true or false, got 'yes'");
  EXPECT_EQ(ErrorOf({}, {{"LOG_FORMAT", "xml"}}),
            "environment LOG_FORMAT: log_format must be one of: json console; got 'xml'");
}

TEST_F(ConfigFile, FileErrorsNameTheLine) {
  const auto error = [&](std::string_view text) {
    Write(text);
    return ErrorOf({"--config=" + path_});
  };
  EXPECT_EQ(error("alpha = 1\nhnws_m = 3\n"), path_ + ":2: unknown key 'hnws_m'; did you mean 'hnsw_m'?");
  EXPECT_EQ(error("\n\nhnsw_m = \"16\"\n"), path_ + ":3: hnsw_m expected a whole number, without quotes");
  EXPECT_EQ(error("hnsw_m = 1"), path_ + ":1: hnsw_m must be between 2 and 128, got '1'");
  EXPECT_EQ(error("[hnsw_m]\nx = 1"), path_ + ":1: hnsw_m expected a whole number, without quotes");
  EXPECT_EQ(error("timeout = 5"), path_ + ":1: timeout expected a duration in quotes, such as \"200ms\"");
  EXPECT_EQ(error("alpha = = 1").find(path_ + ":1:9: "), 0u);
}

TEST(Config, MissingFileIsAnError) {
  const Result<Config> config = Load({}, {{"LONGBOW_CONFIG", "/nonexistent/longbow.toml"}});
  EXPECT_EQ(config.status().code(), StatusCode::kNotFound);
  EXPECT_NE(config.status().message().find("/nonexistent/longbow.toml"), std::string::npos);
}

TEST_F(ConfigFile, PrintsAFileThatGivesTheSameAgain) {
  Write("timeout = \"3s\"\n");
  const Result<Config> config =
      Load({"--config=" + path_, "--listen-addr=a \"b\"\\", "--max-size=007", "--alpha=.5"}, {{"HNSW_M", "30"}});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  const std::string toml = config->ToToml();
  EXPECT_EQ(toml,
            "listen_addr = \"a \\\"b\\\"\\\\\"  # flag --listen-addr\n"
            "log_format = \"json\"  # default\n"
            "allow_remote = false  # default\n"
            "hnsw_m = 30  # environment HNSW_M\n"
            "alpha = 0.5  # flag --alpha\n"
            "timeout = \"3s\"  # " +
                path_ +
                ":1\n"
                "max_size = \"007\"  # flag --max-size\n");
  Write(toml);
  const Result<Config> again = Load({"--config=" + path_});
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->String("listen_addr"), "a \"b\"\\");
  EXPECT_EQ(again->Int("hnsw_m"), 30);
  EXPECT_EQ(again->Size("max_size"), 7u);
}

TEST(Config, MisspeltVariablesAreErrors) {
  EXPECT_EQ(ErrorOf({}, {{"LONGBOW_LISTEN_ADR", "x"}}),
            "unknown environment variable LONGBOW_LISTEN_ADR; did you mean LONGBOW_LISTEN_ADDR?");
  EXPECT_TRUE(Load({}, {{"LONGBOW_SERVICE_HOST", "x"}, {"LISTEN_ADR", "x"}}).ok()) << "may belong to others";
}

TEST(Config, VariablesOfOtherVersionsAreWarnedAbout) {
  const Result<Config> config = Load({}, {{"TTL", "1h"}, {"LONGBOW_HNSW_MA", "1"}, {"HNSW_MA", ""}});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->warnings(),
            (std::vector<std::string>{"environment TTL is set but not honoured by this version",
                                      "environment LONGBOW_HNSW_MA is set but not honoured by this version"}));
}

TEST(Config, EveryOptionIsDescribed) {
  const std::string text = DescribeOptions(kOptions);
  EXPECT_NE(text.find("  --hnsw-m  (default 16)\n      Neighbours.\n"), std::string::npos) << text;
}

TEST(ConfigDeathTest, AskingForAnotherTypeIsABug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Result<Config> config = Load({});
  EXPECT_DEATH(static_cast<void>(config->Int("listen_addr")), "check failed: found->option->type == type");
  EXPECT_DEATH(static_cast<void>(config->Int("nonsense")), "check failed: found != settings_.end");
}

TEST(Environment, IsThatOfTheProcess) {
  ASSERT_EQ(setenv("LONGBOW_CONFIG_TEST", "a=b", 1), 0);
  EXPECT_EQ(ProcessEnvironment().at("LONGBOW_CONFIG_TEST"), "a=b");
  unsetenv("LONGBOW_CONFIG_TEST");
}

}  // namespace
}  // namespace longbow
