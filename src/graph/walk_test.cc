// Traversal, spreading activation and communities against plain versions of themselves.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "base/limits.h"
#include "base/random.h"
#include "graph/communities.h"
#include "graph/spread.h"
#include "graph/traverse.h"

namespace longbow::graph {
namespace {

void Link(EdgeGraph* graph, uint64_t from, uint64_t to, float weight = 1, const std::string& predicate = "p") {
  graph->Add({from, predicate, to, weight}, 1);
}

uint32_t NodeOf(const EdgeGraph& graph, uint64_t id) { return graph.FindNode(id).value(); }

using Ids = std::vector<uint64_t>;

Ids IdsOf(const EdgeGraph& graph, const std::vector<uint32_t>& nodes) {
  Ids ids;
  for (const uint32_t node : nodes) {
    ids.push_back(std::get<uint64_t>(graph.KeyOf(node)));
  }
  return ids;
}

std::vector<std::pair<Ids, double>> PathsFrom(const EdgeGraph& graph, uint64_t start, const TraverseOptions& options) {
  const auto paths = Traverse(EdgeFilter(graph, 1, options.edges), NodeOf(graph, start), options, nullptr);
  EXPECT_TRUE(paths.ok()) << paths.status().ToString();
  std::vector<std::pair<Ids, double>> found;
  for (const Path& path : *paths) {
    EXPECT_EQ(path.edges.size() + 1, path.nodes.size());
    found.emplace_back(IdsOf(graph, path.nodes), path.score);
  }
  return found;
}

TEST(Traverse, AllPathsBreadthFirst) {
  EdgeGraph graph;
  Link(&graph, 1, 2, 0.5F);
  Link(&graph, 1, 3, 1);
  Link(&graph, 2, 4, 1);
  Link(&graph, 3, 4, 0.5F);
  Link(&graph, 4, 1, 1);  // a circle
  const std::vector<std::pair<Ids, double>> expected{
      {{1, 2}, 0.25}, {{1, 3}, 0.5}, {{1, 2, 4}, 0.125}, {{1, 3, 4}, 0.125}};
  EXPECT_EQ(PathsFrom(graph, 1, {}), expected);
  EXPECT_EQ(PathsFrom(graph, 1, {.hops_max = 10}), expected) << "no node twice on a path";
  EXPECT_EQ(PathsFrom(graph, 1, {.limit = 1}), (std::vector<std::pair<Ids, double>>{{{1, 3}, 0.5}}));
  EXPECT_EQ(PathsFrom(graph, 1, {.weighted = false, .best_only = true}),
            (std::vector<std::pair<Ids, double>>{{{1, 2}, 0.5}, {{1, 3}, 0.5}, {{1, 2, 4}, 0.25}}));
  EXPECT_EQ(PathsFrom(graph, 1, {.edges = {.direction = EdgeDirection::kIn, .predicates = {}}, .hops_max = 1}),
            (std::vector<std::pair<Ids, double>>{{{1, 4}, 0.5}}));
  EXPECT_EQ(PathsFrom(graph, 4, {.edges = {.direction = EdgeDirection::kBoth, .predicates = {}}, .hops_max = 1}).size(),
            3u);
}

TEST(Traverse, FollowsOnlyThePredicatesAskedFor) {
  EdgeGraph graph;
  Link(&graph, 1, 2, 1, "p");
  Link(&graph, 1, 3, 1, "q");
  EXPECT_EQ(PathsFrom(graph, 1, {.edges = {.predicates = {"q"}}}).size(), 1u);
  EXPECT_EQ(PathsFrom(graph, 1, {.edges = {.predicates = {"q", "p", "r"}}}).size(), 2u);
  EXPECT_TRUE(PathsFrom(graph, 1, {.edges = {.predicates = {"unknown"}}}).empty());
}

TEST(Traverse, PassesByWhatIsHidden) {
  EdgeGraph graph;
  Link(&graph, 1, 2);
  Link(&graph, 2, 3);
  Link(&graph, 1, 4);
  const EdgeFilter filter(graph, 1, {}, [](const RowKey& key) { return key == RowKey(uint64_t{2}); });
  const auto paths = Traverse(filter, NodeOf(graph, 1), {.hops_max = 3}, nullptr);
  ASSERT_EQ(paths->size(), 1u);
  EXPECT_EQ(IdsOf(graph, paths->front().nodes), (Ids{1, 4}));
}

TEST(Traverse, RefusesToCountWhatExplodes) {
  EdgeGraph graph;
  for (uint64_t a = 0; a < 30; ++a) {
    for (uint64_t b = 0; b < 30; ++b) {
      Link(&graph, a, b);
    }
  }
  const TraverseOptions all{.hops_max = 8};
  EXPECT_EQ(Traverse(EdgeFilter(graph, 1, {}), NodeOf(graph, 0), all, nullptr).status().code(),
            StatusCode::kResourceExhausted);
  const TraverseOptions limited{.hops_max = 8, .limit = 5};
  EXPECT_EQ(Traverse(EdgeFilter(graph, 1, {}), NodeOf(graph, 0), limited, nullptr).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(PathsFrom(graph, 0, {.hops_max = 8, .best_only = true}).size(), 29u);
  Cancellation cancelled;
  cancelled.Cancel();
  EXPECT_EQ(Traverse(EdgeFilter(graph, 1, {}), NodeOf(graph, 0), all, &cancelled).status().code(),
            StatusCode::kCancelled);
}

TEST(Traverse, ScoresStayNumbers) {
  EdgeGraph graph;
  for (uint64_t i = 0; i < 16; ++i) {
    Link(&graph, i, i + 1, 3e38F);
  }
  Link(&graph, 16, 17, 0);
  for (const auto& [ids, score] : PathsFrom(graph, 0, {.hops_max = 17, .decay = 1})) {
    EXPECT_TRUE(std::isfinite(score) && std::fabs(score) <= 3.5e38);
  }
}

// All paths of a random graph by plain recursion.
TEST(Traverse, FindsWhatRecursionFinds) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Random random(seed);
    EdgeGraph graph;
    std::map<std::pair<uint64_t, uint64_t>, double> edges;
    for (int i = 0; i < 25; ++i) {
      const uint64_t from = random.Below(10);
      const uint64_t to = random.Below(10);
      const auto weight = static_cast<float>(1 + random.Below(4)) / 4;
      Link(&graph, from, to, weight);
      edges[{from, to}] = weight;
    }
    std::map<Ids, double> expected;
    const std::function<void(Ids, double)> walk = [&](const Ids& ids, double score) {
      for (const auto& [edge, weight] : edges) {
        if (edge.first == ids.back() && std::find(ids.begin(), ids.end(), edge.second) == ids.end() && ids.size() < 4) {
          Ids longer = ids;
          longer.push_back(edge.second);
          expected[longer] = score * weight * 0.5;
          walk(longer, score * weight * 0.5);
        }
      }
    };
    const uint64_t start = edges.begin()->first.first;
    walk({start}, 1);
    std::map<Ids, double> found;
    for (const auto& [ids, score] : PathsFrom(graph, start, {.hops_max = 3})) {
      EXPECT_TRUE(found.emplace(ids, score).second);
    }
    EXPECT_EQ(found, expected) << "seed " << seed;
  }
}

TEST(Spread, SumsWhatArrives) {
  EdgeGraph graph;
  Link(&graph, 1, 3, 0.5F);
  Link(&graph, 2, 3, 1);
  Link(&graph, 3, 4, 1);
  const auto spread = [&](const SpreadOptions& options) {
    const auto found =
        Spread(EdgeFilter(graph, 1, {}), {{NodeOf(graph, 1), 1}, {NodeOf(graph, 2), 2}}, options, nullptr);
    EXPECT_TRUE(found.ok());
    std::map<uint64_t, double> values;
    double before = 1e9;
    for (const Activation& a : *found) {
      EXPECT_LE(a.value, before);
      before = a.value;
      values[std::get<uint64_t>(graph.KeyOf(a.node))] = a.value;
    }
    return values;
  };
  EXPECT_EQ(spread({.hops_max = 1}), (std::map<uint64_t, double>{{1, 1}, {2, 2}, {3, 1.25}}));
  EXPECT_EQ(spread({.hops_max = 2}), (std::map<uint64_t, double>{{1, 1}, {2, 2}, {3, 1.25}, {4, 0.625}}));
  EXPECT_EQ(spread({.hops_max = 2, .weighted = false}),
            (std::map<uint64_t, double>{{1, 1}, {2, 2}, {3, 1.5}, {4, 0.75}}));
  EXPECT_EQ(spread({.hops_max = 2, .threshold = 1.5}), (std::map<uint64_t, double>{{1, 1}, {2, 2}, {3, 1}}));
}

TEST(Communities, FindsCliquesJoinedByOneEdge) {
  EdgeGraph graph;
  for (uint64_t clique = 0; clique < 6; ++clique) {
    for (uint64_t a = 0; a < 5 + clique; ++a) {
      for (uint64_t b = 0; b < a; ++b) {
        Link(&graph, clique * 100 + a, clique * 100 + b);
      }
    }
    Link(&graph, clique * 100, (clique + 1) % 6 * 100 + 1);
  }
  const auto found = FindCommunities(graph, 1, nullptr);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->sizes, (std::vector<uint32_t>{10, 9, 8, 7, 6, 5}));
  EXPECT_GT(found->modularity, 0.6);
  for (uint32_t node = 0; node < graph.nodes_end(); ++node) {
    const uint64_t id = std::get<uint64_t>(graph.KeyOf(node));
    EXPECT_EQ(found->community_of[node], 5 - id / 100);
  }
}

double ModularityOf(const EdgeGraph& graph, const Communities& found) {
  double total = 0;
  std::map<uint32_t, double> inside;
  std::map<uint32_t, double> degree;
  for (uint32_t e = 0; e < graph.edges_end(); ++e) {
    const auto& edge = graph.RecordOf(e);
    if (edge.VisibleAt(1)) {
      const uint32_t a = found.community_of[edge.subject];
      const uint32_t b = found.community_of[edge.object];
      total += 2 * edge.weight;
      degree[a] += edge.weight;
      degree[b] += edge.weight;
      inside[a] += a == b ? 2 * edge.weight : 0;
    }
  }
  double modularity = 0;
  for (const auto& [community, sum] : degree) {
    modularity += inside[community] / total - sum / total * (sum / total);
  }
  return modularity;
}

TEST(Communities, ModularityIsThatOfTheDivision) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    EdgeGraph graph;
    for (int i = 0; i < 200; ++i) {
      const uint64_t block = random.Below(4) * 25;
      const bool crosses = random.Below(5) == 0;
      Link(&graph, block + random.Below(25), crosses ? random.Below(100) : block + random.Below(25),
           static_cast<float>(1 + random.Below(3)));
    }
    graph.RemoveNode(uint64_t{3}, 1);
    const auto found = FindCommunities(graph, 1, nullptr);
    ASSERT_TRUE(found.ok());
    EXPECT_NEAR(found->modularity, ModularityOf(graph, *found), 1e-9);
    EXPECT_GT(found->modularity, 0.3);
    if (const auto gone = graph.FindNode(uint64_t{3})) {
      EXPECT_EQ(found->community_of[*gone], kNone);
    }
  }
}

TEST(Communities, OfNothing) {
  const auto found = FindCommunities(EdgeGraph(), 1, nullptr);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->sizes.empty());
  EXPECT_EQ(found->modularity, 0);
}

}  // namespace
}  // namespace longbow::graph
