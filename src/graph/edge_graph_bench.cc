// Edges added, walked and divided: a million of them between 200,000 ids, a few of which have many.
#include <benchmark/benchmark.h>

#include "base/random.h"
#include "graph/communities.h"
#include "graph/edge_image.h"
#include "graph/spread.h"
#include "graph/traverse.h"

namespace longbow::graph {
namespace {

constexpr uint64_t kEdges = 1'000'000;
constexpr uint64_t kIds = 200'000;

// Small ids come often, large ones rarely: the first hundred have a fiftieth of all ends.
uint64_t AnyId(Random& random) {
  const double at = random.Fraction();
  return static_cast<uint64_t>(at * at * kIds);
}

void Fill(EdgeGraph* graph) {
  Random random(1);
  for (uint64_t i = 0; i < kEdges; ++i) {
    graph->Add({AnyId(random), "p", AnyId(random), static_cast<float>(random.Fraction())}, 1);
  }
}

const EdgeGraph& Filled() {
  static const auto graph = [] {
    auto made = std::make_unique<EdgeGraph>();
    Fill(made.get());
    return made;
  }();
  return *graph;
}

void AddEdges(benchmark::State& state) {
  for (auto _ : state) {
    EdgeGraph graph;
    Fill(&graph);
    benchmark::DoNotOptimize(graph.live_edges());
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kEdges));
  state.counters["bytes_per_edge"] = static_cast<double>(Filled().size_bytes()) / kEdges;
}

template <typename Walk>
void WalkFromAnywhere(benchmark::State& state, Walk walk) {
  const EdgeGraph& graph = Filled();
  const EdgeFilter filter(graph, 1, {});
  Random random(2);
  uint64_t reached = 0;
  for (auto _ : state) {
    if (const auto node = graph.FindNode(random.Below(kIds))) {
      reached += walk(filter, *node, static_cast<uint32_t>(state.range(0)));
    }
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["reached"] = benchmark::Counter(static_cast<double>(reached), benchmark::Counter::kAvgIterations);
}

void Paths(benchmark::State& state) {
  WalkFromAnywhere(state, [](const EdgeFilter& filter, uint32_t node, uint32_t hops) {
    const auto paths = Traverse(filter, node, {.hops_max = hops, .best_only = true}, nullptr);
    return paths.ok() ? paths->size() : 0;
  });
}

void Spreading(benchmark::State& state) {
  WalkFromAnywhere(state, [](const EdgeFilter& filter, uint32_t node, uint32_t hops) {
    const auto found = Spread(filter, {{node, 1}}, {.edges = {}, .hops_max = hops}, nullptr);
    return found.ok() ? found->size() : 0;
  });
}

void Dividing(benchmark::State& state) {
  for (auto _ : state) {
    const auto found = FindCommunities(Filled(), 1, nullptr);
    state.counters["communities"] = static_cast<double>(found->sizes.size());
  }
}

void Reading(benchmark::State& state) {
  std::string image;
  const Status written = WriteImage(Filled(), 1, [&](std::string_view piece) {
    image.append(piece);
    return Status();
  });
  for (auto _ : state) {
    benchmark::DoNotOptimize(written.ok() && ReadImage(image).ok());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * image.size()));
}

BENCHMARK(AddEdges)->Unit(benchmark::kMillisecond)->Iterations(2);
BENCHMARK(Paths)->DenseRange(1, 3)->Unit(benchmark::kMicrosecond);
BENCHMARK(Spreading)->DenseRange(1, 3)->Unit(benchmark::kMicrosecond);
BENCHMARK(Dividing)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(Reading)->Unit(benchmark::kMillisecond)->Iterations(2);

}  // namespace
}  // namespace longbow::graph
