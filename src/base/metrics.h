// Counters, gauges and histograms, rendered in Prometheus' text format.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace longbow {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// Handles: copy freely, thread safe, valid as long as their Metrics lives. A handle that no Metrics made does nothing,
// so that code under test needs no registry.
class Counter {
 public:
  void Add(double amount = 1);  // amount >= 0

 private:
  friend class Metrics;
  void* target_ = nullptr;
};

class Gauge {
 public:
  void Set(double value);
  void Add(double amount);  // may be negative

 private:
  friend class Metrics;
  void* target_ = nullptr;
};

class Histogram {
 public:
  void Observe(double value);

 private:
  friend class Metrics;
  void* target_ = nullptr;
};

// Upper bounds in seconds, from 100 µs to 10 s.
std::vector<double> LatencyBuckets();
// Upper bounds in bytes, from 1 KiB to 1 GiB.
std::vector<double> SizeBuckets();

// The registry. Built in bin/ and passed down; handles are made once, at construction of what they measure, because
// making one takes a lock and a map lookup and using one takes an atomic (a histogram: a mutex).
// The same name and labels give the same series; the same name as another kind or with other buckets is a bug and stops
// the process. Thread safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  Counter MakeCounter(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  Gauge MakeGauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  Histogram MakeHistogram(const std::string& name, const std::string& help, const std::vector<double>& buckets,
                          const MetricLabels& labels = {});

  // Everything, in text format 0.0.4, and the process_* family of the Prometheus conventions: CPU time, resident and
  // virtual memory, open files and their limit, start time.
  std::string Render();

 private:
  struct Registry;  // prometheus-cpp, kept out of this header for the sake of compile time
  const std::unique_ptr<Registry> registry_;
};

}  // namespace longbow
