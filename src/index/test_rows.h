// Rows for the tests of this folder: clustered, like what is searched in practice, and the same for the same seed.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "index/active_graph.h"
#include "index/query_distance.h"
#include "index/vector_rows.h"
#include "kernels/dispatch.h"

namespace longbow::index {

// Sanitizers make everything five to fifteen times slower: the large tests take fewer rows then.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr uint32_t kFewer = 4;
#else
inline constexpr uint32_t kFewer = 1;
#endif

inline const kernels::Kernels& TestKernels() {
  auto kernels = kernels::KernelsFromEnvironment();
  EXPECT_TRUE(kernels.ok()) << kernels.status().ToString();
  return **kernels;
}

// Points around `clusters` random centres. Not thread safe.
class ClusteredPoints {
 public:
  ClusteredPoints(uint32_t dimension, uint32_t clusters, uint64_t seed) : dimension_(dimension), random_(seed) {
    for (uint32_t i = 0; i < clusters; ++i) {
      centres_.push_back(Gaussian(1.0f));
    }
  }

  std::vector<float> Next() {
    std::vector<float> point = Gaussian(0.5f);
    const std::vector<float>& centre = centres_[random_() % centres_.size()];
    for (uint32_t i = 0; i < dimension_; ++i) {
      point[i] += centre[i];
    }
    return point;
  }

 private:
  std::vector<float> Gaussian(float deviation) {
    std::normal_distribution<float> normal(0, deviation);
    std::vector<float> values(dimension_);
    for (float& v : values) {
      v = normal(random_);
    }
    return values;
  }

  const uint32_t dimension_;
  std::mt19937_64 random_;
  std::vector<std::vector<float>> centres_;
};

inline std::shared_ptr<VectorRows> MakeRows(uint32_t dimension, uint32_t capacity, Metric metric) {
  auto rows = VectorRows::Create(dimension, capacity, metric, TestKernels());
  EXPECT_TRUE(rows.ok()) << rows.status().ToString();
  return *rows;
}

inline void SetRow(VectorRows& rows, LocalId id, const std::vector<float>& values) {
  std::copy(values.begin(), values.end(), rows.MutableRow(id));
  rows.FinishRows(id, id + 1);
}

inline std::unique_ptr<ActiveGraph> MakeActive(const std::shared_ptr<VectorRows>& rows,
                                               const ActiveGraphOptions& options = {}) {
  auto graph = ActiveGraph::Create(rows, rows->capacity(), options);
  EXPECT_TRUE(graph.ok()) << graph.status().ToString();
  return std::move(*graph);
}

// Inserts rows [begin, end), from `threads` threads.
inline void InsertAll(ActiveGraph& graph, LocalId begin, LocalId end, uint32_t threads) {
  std::atomic<LocalId> next{begin};
  std::vector<std::thread> workers;
  for (uint32_t t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      for (LocalId id = next.fetch_add(1); id < end; id = next.fetch_add(1)) {
        graph.Insert(id);
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
}

// What every result must be whatever its recall: at most k, sorted, unique, contained, distances true.
inline void CheckResult(const VectorRows& rows, const std::vector<float>& query, const SearchOptions& options,
                        const std::vector<Neighbor>& result) {
  const QueryDistance distance(rows, query.data());
  ASSERT_LE(result.size(), options.k);
  for (size_t i = 0; i < result.size(); ++i) {
    ASSERT_TRUE(options.filter.Contains(result[i].id)) << "row " << result[i].id << " does not pass the filter";
    ASSERT_EQ(result[i].distance, distance.To(result[i].id)) << "row " << result[i].id;
    if (i > 0) {
      ASSERT_TRUE(result[i - 1] < result[i]) << "result " << i << " is out of order or twice there";
    }
  }
}

inline std::vector<Neighbor> SearchOrFail(const VectorIndex& index, const VectorRows& rows,
                                          const std::vector<float>& query, const SearchOptions& options) {
  auto result = index.Search(query.data(), options);
  EXPECT_TRUE(result.ok()) << result.status().ToString();
  if (!result.ok()) {
    return {};
  }
  CheckResult(rows, query, options, *result);
  return *result;
}

inline size_t CountShared(const std::vector<Neighbor>& a, const std::vector<Neighbor>& b) {
  size_t shared = 0;
  for (const Neighbor& x : a) {
    shared += static_cast<size_t>(std::count_if(b.begin(), b.end(), [&](const Neighbor& y) { return x.id == y.id; }));
  }
  return shared;
}

}  // namespace longbow::index
