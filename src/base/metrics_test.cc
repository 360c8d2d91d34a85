#include "base/metrics.h"

#include <gtest/gtest.h>
#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/process_stats.h"

namespace longbow {
namespace {

TEST(Metrics, RendersCountersGaugesAndHistograms) {
  Metrics metrics;
  Counter requests = metrics.MakeCounter("longbow_requests_total", "Requests.", {{"method", "DoPut"}});
  Gauge rows = metrics.MakeGauge("longbow_rows", "Rows.");
  Histogram took = metrics.MakeHistogram("longbow_took_seconds", "Time.", {0.1, 1}, {{"method", "DoGet"}});
  requests.Add();
  requests.Add(2);
  rows.Set(10);
  rows.Add(-3);
  took.Observe(0.05);
  took.Observe(0.5);
  took.Observe(5);
  const std::string text = metrics.Render();
  for (const char* line : {"# HELP longbow_requests_total Requests.\n", "# TYPE longbow_requests_total counter\n",
                           "longbow_requests_total{method=\"DoPut\"} 3\n", "longbow_rows 7\n",
                           "longbow_took_seconds_bucket{method=\"DoGet\",le=\"0.1\"} 1\n",
                           "longbow_took_seconds_bucket{method=\"DoGet\",le=\"1\"} 2\n",
                           "longbow_took_seconds_bucket{method=\"DoGet\",le=\"+Inf\"} 3\n",
                           "longbow_took_seconds_count{method=\"DoGet\"} 3\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "not in\n" << text;
  }
}

TEST(Metrics, SameNameAndLabelsAreOneSeries) {
  Metrics metrics;
  metrics.MakeCounter("a_total", "A.", {{"x", "1"}}).Add();
  metrics.MakeCounter("a_total", "A.", {{"x", "1"}}).Add();
  metrics.MakeCounter("a_total", "A.", {{"x", "2"}}).Add();
  const std::string text = metrics.Render();
  EXPECT_NE(text.find("a_total{x=\"1\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("a_total{x=\"2\"} 1\n"), std::string::npos) << text;
}

TEST(Metrics, HandlesWithoutRegistryDoNothing) {
  Counter().Add();
  Gauge().Set(1);
  Gauge().Add(1);
  Histogram().Observe(1);
}

TEST(Metrics, CountsOfManyThreadsAddUp) {
  Metrics metrics;
  Counter counter = metrics.MakeCounter("n_total", "N.");
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([counter]() mutable {
      for (int i = 0; i < 10'000; ++i) {
        counter.Add();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_NE(metrics.Render().find("n_total 40000\n"), std::string::npos);
}

TEST(MetricsDeathTest, AClashOfKindsIsABug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Metrics metrics;
  metrics.MakeCounter("clash", "As a counter.");
  EXPECT_DEATH(metrics.MakeGauge("clash", "As a gauge."), "metric clash");
}

TEST(Metrics, ProcessFamilyIsThere) {
  const std::string text = Metrics().Render();
  for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes",
                           "process_open_fds", "process_max_fds", "process_start_time_seconds"}) {
    EXPECT_NE(text.find(std::string("\n") + name + " "), std::string::npos) << name;
  }
}

TEST(ProcessStats, FiguresAreThoseOfThisProcess) {
  const ProcessStats before = ReadProcessStats();
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(before.start_time_seconds, now, 3600);
  EXPECT_GT(before.resident_bytes, 1u << 20);
  EXPECT_GT(before.virtual_bytes, before.resident_bytes);
  EXPECT_GE(before.open_files, 3u);
  EXPECT_GE(before.open_files_max, before.open_files);
  EXPECT_GE(before.threads, 1u);
  const int opened = dup(2);
  EXPECT_EQ(ReadProcessStats().open_files, before.open_files + 1);
  close(opened);
}

}  // namespace
}  // namespace longbow
