#include <benchmark/benchmark.h>

#include <string>

#include "base/crc32c.h"

namespace longbow {
namespace {

void ExtendPath(benchmark::State& state) {
  const Crc32cPath& path = Crc32cPaths()[static_cast<size_t>(state.range(0)) % Crc32cPaths().size()];
  const std::string bytes(static_cast<size_t>(state.range(1)), 'x');
  for (auto _ : state) {
    benchmark::DoNotOptimize(path.extend(0, bytes.data(), bytes.size()));
  }
  state.SetBytesProcessed(state.iterations() * state.range(1));
  state.SetLabel(path.name);
}
BENCHMARK(ExtendPath)->ArgsProduct({{0, 1}, {64, 1'000, 64'000, 1'000'000}});

}  // namespace
}  // namespace longbow
