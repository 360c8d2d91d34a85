// Time per row of each kernel and path: rows in the first-level cache, and rows gathered at random from far more memory
// than the last-level cache holds.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "kernels/dispatch.h"

namespace longbow::kernels {
namespace {

std::vector<float> RandomValues(size_t n) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(n);
  for (float& v : values) {
    v = uniform(random);
  }
  return values;
}

void CachedPair(benchmark::State& state, const Kernels* k, bool l2, size_t dim) {
  const std::vector<float> values = RandomValues(2 * dim);
  const auto one = l2 ? k->squared_l2 : k->inner_product;
  for (auto _ : state) {
    benchmark::DoNotOptimize(one(values.data(), values.data() + dim, dim));
  }
  state.SetItemsProcessed(state.iterations());
}

void CachedBlock(benchmark::State& state, const Kernels* k, bool l2, size_t dim) {
  constexpr size_t kRows = 8;
  const std::vector<float> values = RandomValues((kRows + 1) * dim);
  float out[kRows];
  for (auto _ : state) {
    (l2 ? k->squared_l2_rows : k->inner_product_rows)(values.data(), values.data() + dim, dim, kRows, out);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kRows));
}

void Gathered(benchmark::State& state, const Kernels* k, bool l2, size_t dim) {
  constexpr size_t kBatch = 32;
  const size_t rows = (size_t{256} << 20) / sizeof(float) / dim;
  const std::vector<float> values = RandomValues(rows * dim);
  std::mt19937 random(2);
  std::vector<uint32_t> ids(size_t{1} << 16);
  for (uint32_t& id : ids) {
    id = static_cast<uint32_t>(random() % rows);
  }
  float out[kBatch];
  size_t at = 0;
  for (auto _ : state) {
    (l2 ? k->squared_l2_ids : k->inner_product_ids)(values.data(), values.data(), dim, ids.data() + at, kBatch, out);
    benchmark::ClobberMemory();
    at = (at + kBatch) % ids.size();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kBatch));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kBatch * dim * sizeof(float)));
}

void AllFinite(benchmark::State& state, const Kernels* k, size_t n) {
  const std::vector<float> values = RandomValues(n);
  for (auto _ : state) {
    benchmark::DoNotOptimize(k->all_finite(values.data(), n));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * n * sizeof(float)));
}

// Registers each path that this machine has before main() runs the benchmarks.
const bool kRegistered = [] {
  for (const Isa isa : SupportedIsas()) {
    const Kernels* k = *KernelsOf(isa);
    const std::string path(IsaName(isa));
    for (const bool l2 : {true, false}) {
      const std::string op = l2 ? "l2" : "ip";
      for (const size_t dim : {96, 384, 768}) {
        const std::string suffix = "/" + op + "/" + path + "/" + std::to_string(dim);
        benchmark::RegisterBenchmark(("pair" + suffix).c_str(), CachedPair, k, l2, dim);
        benchmark::RegisterBenchmark(("block" + suffix).c_str(), CachedBlock, k, l2, dim);
        benchmark::RegisterBenchmark(("gather" + suffix).c_str(), Gathered, k, l2, dim);
      }
    }
    benchmark::RegisterBenchmark(("finite/" + path).c_str(), AllFinite, k, size_t{1} << 16);
  }
  return true;
}();

}  // namespace
}  // namespace longbow::kernels
