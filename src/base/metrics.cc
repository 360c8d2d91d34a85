#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>

#include "base/process_stats.h"

namespace longbow {

struct Metrics::Registry {
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
};

namespace {

// prometheus-cpp reports a bad name or a clash of kinds by an exception; both are bugs of ours that the first start
// shows, so they stop the process here.
template <typename Make>
auto* MakeOrStop(const std::string& name, Make make) {
  try {
    return &make();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "metric %s: %s\n", name.c_str(), error.what());
    std::abort();
  }
}

std::map<std::string, std::string> ToMap(const MetricLabels& labels) { return {labels.begin(), labels.end()}; }

void AppendProcessFamily(const char* name, const char* help, prometheus::MetricType type, double value,
                         std::vector<prometheus::MetricFamily>& families) {
  prometheus::ClientMetric metric;
  if (type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  families.push_back({name, help, type, {std::move(metric)}});
}

void AppendProcessFamilies(std::vector<prometheus::MetricFamily>& families) {
  using enum prometheus::MetricType;
  const ProcessStats stats = ReadProcessStats();
  const auto number = [](uint64_t value) { return static_cast<double>(value); };
  AppendProcessFamily("process_cpu_seconds_total", "User and system CPU time.", Counter, stats.cpu_seconds, families);
  AppendProcessFamily("process_resident_memory_bytes", "Resident memory.", Gauge, number(stats.resident_bytes),
                      families);
  AppendProcessFamily("process_virtual_memory_bytes", "Virtual memory.", Gauge, number(stats.virtual_bytes), families);
  AppendProcessFamily("process_open_fds", "Open file descriptors.", Gauge, number(stats.open_files), families);
  AppendProcessFamily("process_max_fds", "Limit of open file descriptors.", Gauge, number(stats.open_files_max),
                      families);
  AppendProcessFamily("process_threads", "Threads.", Gauge, number(stats.threads), families);
  AppendProcessFamily("process_start_time_seconds", "Start of the process, seconds since 1970.", Gauge,
                      stats.start_time_seconds, families);
}

}  // namespace

void Counter::Add(double amount) {
  if (target_ != nullptr) {
    static_cast<prometheus::Counter*>(target_)->Increment(amount);
  }
}

void Gauge::Set(double value) {
  if (target_ != nullptr) {
    static_cast<prometheus::Gauge*>(target_)->Set(value);
  }
}

void Gauge::Add(double amount) {
  if (target_ != nullptr) {
    static_cast<prometheus::Gauge*>(target_)->Increment(amount);
  }
}

void Histogram::Observe(double value) {
  if (target_ != nullptr) {
    static_cast<prometheus::Histogram*>(target_)->Observe(value);
  }
}

std::vector<double> LatencyBuckets() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

std::vector<double> SizeBuckets() {
  std::vector<double> buckets;
  for (double size_bytes = 1024; size_bytes <= 1024.0 * 1024 * 1024; size_bytes *= 4) {
    buckets.push_back(size_bytes);
  }
  return buckets;
}

Metrics::Metrics() : registry_(std::make_unique<Registry>()) {}
Metrics::~Metrics() = default;

Counter Metrics::MakeCounter(const std::string& name, const std::string& help, const MetricLabels& labels) {
  Counter handle;
  handle.target_ = MakeOrStop(name, [&]() -> prometheus::Counter& {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry_->registry).Add(ToMap(labels));
  });
  return handle;
}

Gauge Metrics::MakeGauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  Gauge handle;
  handle.target_ = MakeOrStop(name, [&]() -> prometheus::Gauge& {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry_->registry).Add(ToMap(labels));
  });
  return handle;
}

Histogram Metrics::MakeHistogram(const std::string& name, const std::string& help, const std::vector<double>& buckets,
                                 const MetricLabels& labels) {
  Histogram handle;
  handle.target_ = MakeOrStop(name, [&]() -> prometheus::Histogram& {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_->registry).Add(ToMap(labels), buckets);
  });
  return handle;
}

std::string Metrics::Render() {
  std::vector<prometheus::MetricFamily> families = registry_->registry.Collect();
  AppendProcessFamilies(families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace longbow
