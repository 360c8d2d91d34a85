#include "cli/bench_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/memory_file_system.h"
#include "base/random.h"
#include "kernels/dispatch.h"

namespace longbow::cli {
namespace {

constexpr size_t kDimension = 16;

// Points around 20 centres.
std::string ClusteredNpy(size_t rows, uint64_t seed) {
  Random centres(3);
  std::vector<float> centre(20 * kDimension);
  for (float& v : centre) {
    v = static_cast<float>(centres.Fraction());
  }
  Random random(seed);
  std::vector<float> values;
  for (size_t i = 0; i < rows; ++i) {
    const size_t c = random.Below(20) * kDimension;
    for (size_t j = 0; j < kDimension; ++j) {
      values.push_back(centre[c + j] + 0.3f * static_cast<float>(random.Fraction() - 0.5));
    }
  }
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", 16)}\n";
  std::string file("\x93NUMPY\1\0", 8);
  file += static_cast<char>(header.size());
  file += '\0';
  file += header;
  file.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return file;
}

class BenchIndexTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteWholeFile(fs_, "base.npy", ClusteredNpy(2000, 1)).ok());
    ASSERT_TRUE(WriteWholeFile(fs_, "query.npy", ClusteredNpy(50, 2)).ok());
    kernels_ = *kernels::KernelsFromEnvironment();
  }

  BenchOptions Options(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"--base=base.npy", "--query=query.npy", "--metric=l2", "--runs=2",
                                          "--min-time=1ms"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto options = ParseBenchOptions(arguments);
    EXPECT_TRUE(options.ok()) << options.status().ToString();
    return *options;
  }

  MemoryFileSystem fs_;
  const kernels::Kernels* kernels_ = nullptr;
};

TEST_F(BenchIndexTest, FlatIsExactAndTheReportSaysSo) {
  const BenchOptions options = Options({"--state=flat", "--ef=10,20"});
  const auto report = BenchIndex(options, fs_, *kernels_);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->build.bytes, 2000 * kDimension * sizeof(float));
  const auto json = nlohmann::json::parse(ReportAsJson(options, *report, *kernels_));
  EXPECT_EQ(json["system"], "longbow-flat");
  EXPECT_EQ(json["dataset"], "base");
  EXPECT_EQ(json["metric"], "l2");
  EXPECT_EQ(json["rows"], 2000);
  EXPECT_EQ(json["runs"].size(), 2u);
  ASSERT_EQ(json["curve"].size(), 2u);
  for (const auto& point : json["curve"]) {
    EXPECT_EQ(point["recall"], 1.0);
    EXPECT_EQ(point["short_answers"], 0);
    EXPECT_GT(point["qps_wall"], 0);
    EXPECT_GT(point["qps_cpu"], 0);
    EXPECT_LE(point["p50_us"], point["p99_us"]);
  }
  EXPECT_EQ(json["at_recall"].size(), 4u);
  EXPECT_FALSE(ReportAsTable(options, *report).empty());
}

TEST_F(BenchIndexTest, TheSweepEndsWithRecallAndThreadsAgree) {
  const auto exact = BenchIndex(Options({"--state=flat"}), fs_, *kernels_);
  ASSERT_TRUE(exact.ok()) << exact.status().ToString();
  EXPECT_EQ(exact->runs().front().size(), 1u);
  for (const char* threads : {"--threads=1", "--threads=2"}) {
    const auto report = BenchIndex(Options({threads}), fs_, *kernels_);
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    const auto& curve = report->runs().front();
    EXPECT_GE(curve.back().recall, 0.99);
    EXPECT_EQ(report->runs()[1].size(), curve.size());
    EXPECT_GT(report->build.bytes, 0u);
  }
}

TEST_F(BenchIndexTest, AnswersUnderAFilterAreAmongTheRowsThatPass) {
  for (const char* filter : {"--filter=random:0.1", "--filter=correlated:0.2", "--filter=range:0.004"}) {
    const auto report = BenchIndex(Options({filter, "--state=flat", "--ef=10"}), fs_, *kernels_);
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    EXPECT_LT(report->filters.front().passing, 500u);
    EXPECT_EQ(report->runs().front().front().recall, 1.0);  // also where fewer than k rows pass
    EXPECT_EQ(report->runs().front().front().short_answers, 0u);
  }
}

TEST_F(BenchIndexTest, Float16TakesHalfTheMemory) {
  for (const char* state : {"--state=flat", "--state=active", "--state=sealed", "--state=lean", "--state=engine"}) {
    const auto report = BenchIndex(Options({state, "--dtype=f16", "--ef=200", "--runs=1"}), fs_, *kernels_);
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    EXPECT_GT(report->runs().front().front().recall, 0.97) << state;  // rounding swaps near ties
  }
  const auto report = BenchIndex(Options({"--state=flat", "--dtype=f16", "--ef=10", "--runs=1"}), fs_, *kernels_);
  EXPECT_EQ(report->build.bytes, 2000 * kDimension * 2);
}

TEST_F(BenchIndexTest, GraphsFindWhatIsNear) {
  for (const char* state : {"--state=active", "--state=sealed", "--state=lean"}) {
    const auto report = BenchIndex(Options({state, "--ef=200", "--runs=1"}), fs_, *kernels_);
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    EXPECT_GT(report->runs().front().front().recall, 0.98) << state;
    EXPECT_EQ(report->runs().front().front().short_answers, 0u) << state;
  }
  const auto exact = BenchIndex(Options({"--ef=200", "--runs=1"}), fs_, *kernels_);
  const auto codes = BenchIndex(Options({"--ef=200", "--runs=1", "--distances=codes"}), fs_, *kernels_);
  ASSERT_TRUE(exact.ok() && codes.ok());
  EXPECT_EQ(exact->build.bytes - codes->build.bytes, 2000 * kDimension * sizeof(float));
}

TEST_F(BenchIndexTest, TheEngineAnswersAsItServes) {
  for (const char* filter : {"--filter=random:0.5", "--filter=random:0.1", "--filter=correlated:0.003"}) {
    const auto report = BenchIndex(Options({filter, "--state=engine", "--ef=100", "--runs=1"}), fs_, *kernels_);
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    EXPECT_GT(report->runs().front().front().recall, 0.95) << filter;
    EXPECT_EQ(report->runs().front().front().short_answers, 0u) << filter;
  }
}

TEST_F(BenchIndexTest, SeveralFiltersAreMeasuredOnOneIndex) {
  const BenchOptions options = Options(
      {"--filter=none,random:0.5,random:0.1@bool,range:0.1@text,random:0.3@number", "--state=engine", "--ef=100"});
  const auto report = BenchIndex(options, fs_, *kernels_);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  ASSERT_EQ(report->filters.size(), 5u);
  const std::vector<uint32_t> passing = {2000, 1000, 200, 200, 600};
  for (size_t i = 0; i < passing.size(); ++i) {
    const FilterRuns& filter = report->filters[i];
    EXPECT_EQ(filter.passing, passing[i]) << filter.spec;
    ASSERT_EQ(filter.runs.size(), 2u);
    EXPECT_GT(filter.runs[0].front().recall, 0.95) << filter.spec;
    EXPECT_EQ(filter.runs[0].front().short_answers, 0u) << filter.spec;
  }
  const auto json = nlohmann::json::parse(ReportAsJson(options, *report, *kernels_));
  EXPECT_EQ(json["filters"].size(), 5u);
  EXPECT_EQ(json["filters"][3]["spec"], "range:0.1@text");
  EXPECT_EQ(json["curve"], json["filters"][0]["curve"]);
}

class ChurnTest : public BenchIndexTest, public testing::WithParamInterface<const char*> {};

TEST_P(ChurnTest, IsComparedWithAFreshIndex) {
  const BenchOptions options = Options({"--churn=3x20", "--ef=100", std::string("--state=") + GetParam()});
  const auto report = BenchIndex(options, fs_, *kernels_);
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_EQ(report->churned_rows, 250u);
  ASSERT_EQ(report->churn.size(), 4u);
  for (const ChurnRound& round : report->churn) {
    EXPECT_EQ(round.unreachable, 0u);
    EXPECT_EQ(round.curve.front().short_answers, 0u);
    EXPECT_GT(round.curve.front().recall, 0.98);
    EXPECT_GT(round.fresh_curve.front().recall, 0.98);
  }
  const auto json = nlohmann::json::parse(ReportAsJson(options, *report, *kernels_));
  EXPECT_EQ(json["churn"].size(), 4u);
  EXPECT_EQ(json["churn"][1]["replaced_rows"], 250);
}

INSTANTIATE_TEST_SUITE_P(States, ChurnTest, testing::Values("active", "flat", "engine"));

TEST_F(BenchIndexTest, FilesThatDoNotFitAreRefused) {
  std::string narrow = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}\n";
  std::string file("\x93NUMPY\1\0", 8);
  file += static_cast<char>(narrow.size());
  file += '\0';
  file += narrow + std::string(8, '\0');
  ASSERT_TRUE(WriteWholeFile(fs_, "narrow.npy", file).ok());
  BenchOptions options = Options();
  options.query_path = "narrow.npy";
  const Status status = BenchIndex(options, fs_, *kernels_).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("narrow.npy has 2, base.npy has 16"), std::string::npos) << status.message();
  options = Options({"--state=active"});
  options.churn = ChurnPlan{10, 20};
  ASSERT_TRUE(WriteWholeFile(fs_, "base.npy", ClusteredNpy(10, 1)).ok());
  EXPECT_EQ(BenchIndex(options, fs_, *kernels_).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(BenchIndexTest, RecallsAskedForAreReached) {
  for (const std::string state : {"sealed", "active", "engine"}) {
    const BenchOptions options = Options({"--state=" + state, "--recall-target=0.9,0.99"});
    const auto report = BenchIndex(options, fs_, *kernels_);
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    const auto json = nlohmann::json::parse(ReportAsJson(options, *report, *kernels_));
    ASSERT_EQ(json["curve"].size(), 2u) << state;
    for (const auto& point : json["curve"]) {
      EXPECT_GE(point["recall"].get<double>(), point["param"].get<double>() - 0.02) << state;
    }
    EXPECT_EQ(json["curve"][1]["param"], 0.99);
  }
}

TEST(BenchOptions, WhatCannotBeIsRefused) {
  const auto refusal = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--base=b.npy", "--query=q.npy", "--metric=ip"});
    const Status status = ParseBenchOptions(arguments).status();
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  };
  EXPECT_NE(refusal({"--qurey=x"}).find("did you mean --query"), std::string::npos);
  EXPECT_NE(refusal({"--ef=5"}).find("from k = 10"), std::string::npos);
  EXPECT_NE(refusal({"--ef=20,,30"}).find("--ef"), std::string::npos);
  EXPECT_NE(refusal({"--churn=10"}).find("--churn"), std::string::npos);
  EXPECT_NE(refusal({"--churn=10x0"}).find("--churn"), std::string::npos);
  EXPECT_NE(refusal({"--state=active", "--churn=1x1", "--filter=random:0.1"}).find("--churn"), std::string::npos);
  EXPECT_NE(refusal({"--churn=1x1"}).find("takes no rows"), std::string::npos);
  EXPECT_NE(refusal({"--state=flat", "--distances=codes"}).find("--distances"), std::string::npos);
  EXPECT_NE(refusal({"--filter=random:0.1@bool"}).find("--state engine"), std::string::npos);
  EXPECT_NE(refusal({"--filter=random:0.1@blob", "--state=engine"}).find("@bool"), std::string::npos);
  EXPECT_NE(refusal({"--recall-target=1"}).find("--recall-target"), std::string::npos);
  EXPECT_NE(refusal({"--recall-target=0.4"}).find("--recall-target"), std::string::npos);
  EXPECT_NE(refusal({"--recall-target=0.9,x"}).find("--recall-target"), std::string::npos);
  EXPECT_NE(refusal({"--recall-target=0.9", "--ef=20"}).find("one of them"), std::string::npos);
  EXPECT_NE(refusal({"--recall-target=0.9", "--state=flat"}).find("flat"), std::string::npos);
  EXPECT_NE(refusal({"--k=0"}).find("k must be"), std::string::npos);
  EXPECT_NE(refusal({"--state=selaed"}).find("must be one of"), std::string::npos);
  EXPECT_NE(refusal({"--base="}).find("--base"), std::string::npos);
}

TEST(BenchOptions, TheDefaultSweepBeginsAtK) {
  const auto options =
      ParseBenchOptions(std::vector<std::string>{"--base=b.npy", "--query=q.npy", "--metric=ip", "--k=50"});
  ASSERT_TRUE(options.ok()) << options.status().ToString();
  EXPECT_EQ(options->efs.front(), 50u);
  EXPECT_TRUE(std::is_sorted(options->efs.begin(), options->efs.end()));
}

}  // namespace
}  // namespace longbow::cli
