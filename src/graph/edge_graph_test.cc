#include "graph/edge_graph.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "base/random.h"
#include "graph/edge_image.h"

namespace longbow::graph {
namespace {

using Triple = std::tuple<RowKey, std::string, RowKey>;
using Model = std::map<Triple, float>;

Model At(const EdgeGraph& graph, uint64_t version) {
  Model found;
  for (uint32_t node = 0; node < graph.nodes_end(); ++node) {
    graph.ForEach(node, EdgeDirection::kOut, version, [&](uint32_t e, uint32_t object) {
      const Edge edge = graph.EdgeOf(e);
      EXPECT_EQ(edge.subject, graph.KeyOf(node));
      EXPECT_EQ(edge.object, graph.KeyOf(object));
      EXPECT_TRUE(found.emplace(Triple(edge.subject, edge.predicate, edge.object), edge.weight).second) << "twice";
      return true;
    });
  }
  return found;
}

Model IncomingAt(const EdgeGraph& graph, uint64_t version) {
  Model found;
  for (uint32_t node = 0; node < graph.nodes_end(); ++node) {
    graph.ForEach(node, EdgeDirection::kIn, version, [&](uint32_t e, uint32_t) {
      const Edge edge = graph.EdgeOf(e);
      found.emplace(Triple(edge.subject, edge.predicate, edge.object), edge.weight);
      return true;
    });
  }
  return found;
}

std::string ImageOf(const EdgeGraph& graph, uint64_t version) {
  std::string image;
  EXPECT_TRUE(WriteImage(graph, version, [&](std::string_view piece) {
                image.append(piece);
                return Status();
              }).ok());
  return image;
}

Edge RandomEdge(Random& random) {
  const auto key = [&]() -> RowKey {
    const uint64_t id = random.Below(12);
    return id < 9 ? RowKey(id) : RowKey("n" + std::to_string(id));
  };
  return {key(), std::string(1, static_cast<char>('a' + random.Below(3))), key(),
          static_cast<float>(random.Below(4)) / 2};
}

void RemoveNodeFrom(Model* model, const RowKey& key) {
  std::erase_if(*model,
                [&](const auto& entry) { return std::get<0>(entry.first) == key || std::get<2>(entry.first) == key; });
}

TEST(EdgeGraph, IsAMapOfEdgesAtEveryVersion) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    auto graph = std::make_shared<EdgeGraph>();
    std::vector<Model> history{{}};
    for (uint64_t version = 1; version <= 300; ++version) {
      Model model = history.back();
      for (uint64_t i = random.Below(4); i > 0; --i) {
        const Edge edge = RandomEdge(random);
        const Triple triple(edge.subject, edge.predicate, edge.object);
        const auto found = model.find(triple);
        const uint64_t dice = random.Below(10);
        if (dice < 6) {
          EXPECT_EQ(graph->Add(edge, version), found == model.end() || found->second != edge.weight);
          model[triple] = edge.weight;
        } else if (dice < 9) {
          EXPECT_EQ(graph->Remove(edge, version), found != model.end());
          model.erase(triple);
        } else {
          const size_t before = model.size();
          RemoveNodeFrom(&model, edge.subject);
          EXPECT_EQ(graph->RemoveNode(edge.subject, version), before - model.size());
        }
      }
      EXPECT_EQ(graph->live_edges(), model.size());
      history.push_back(std::move(model));
    }
    for (uint64_t version = 0; version < history.size(); version += 7) {
      ASSERT_EQ(At(*graph, version), history[version]) << version;
      ASSERT_EQ(IncomingAt(*graph, version), history[version]) << version;
      const auto read = ReadImage(ImageOf(*graph, version));
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      ASSERT_EQ(At(**read, 0), history[version]);
    }
    const auto rewritten = graph->WithoutDead();
    EXPECT_EQ(At(*rewritten, 300), history[300]);
    EXPECT_EQ(rewritten->edges_end(), history[300].size());
  }
}

TEST(EdgeGraph, EdgesComeInTheOrderTheyWereAdded) {
  EdgeGraph graph;
  for (uint64_t object : {5, 3, 9, 1}) {
    graph.Add({uint64_t{7}, "p", object, 1}, object);
  }
  std::vector<uint64_t> seen;
  graph.ForEach(*graph.FindNode(uint64_t{7}), EdgeDirection::kOut, 100, [&](uint32_t, uint32_t object) {
    seen.push_back(std::get<uint64_t>(graph.KeyOf(object)));
    return true;
  });
  EXPECT_EQ(seen, (std::vector<uint64_t>{5, 3, 9, 1}));
}

TEST(EdgeGraph, ManyDeadAreWorthWritingAnew) {
  EdgeGraph graph;
  for (uint64_t version = 1; version <= 10'000; ++version) {
    graph.Add({uint64_t{1}, "p", uint64_t{2}, static_cast<float>(version)}, version);
  }
  EXPECT_TRUE(graph.IsMostlyDead());
  EXPECT_FALSE(graph.WithoutDead()->IsMostlyDead());
}

// A reader of a version sees all of it and nothing else while edges come and go.
TEST(EdgeGraph, ReadersSeeTheirVersionWhileItIsWritten) {
  constexpr uint64_t kVersions = 20'000;
  EdgeGraph graph;
  std::atomic<uint64_t> published{0};
  std::thread reader([&] {
    while (published.load(std::memory_order_acquire) < kVersions) {
      const uint64_t version = published.load(std::memory_order_acquire);
      const auto node = graph.FindNode(uint64_t{0});
      if (!node) {
        continue;
      }
      uint64_t visible = 0;
      graph.ForEach(*node, EdgeDirection::kOut, version, [&](uint32_t e, uint32_t) {
        visible += graph.RecordOf(e).born <= version ? 1 : 0;
        return true;
      });
      ASSERT_EQ(visible, std::min<uint64_t>(version, 10)) << version;  // the last ten
    }
  });
  for (uint64_t version = 1; version <= kVersions; ++version) {
    graph.Add({uint64_t{0}, "p", version, 1}, version);
    if (version > 10) {
      graph.Remove({uint64_t{0}, "p", version - 10, 1}, version);
    }
    published.store(version, std::memory_order_release);
  }
  reader.join();
}

TEST(EdgeImage, RefusesEveryChangedByteAndEveryCut) {
  EdgeGraph graph;
  graph.Add({uint64_t{1}, "likes", std::string("x"), 0.5F}, 1);
  graph.Add({std::string("x"), "knows", uint64_t{2}, 1}, 1);
  const std::string image = ImageOf(graph, 1);
  ASSERT_TRUE(ReadImage(image).ok());
  for (size_t i = 0; i < image.size(); ++i) {
    for (const int bit : {0, 7}) {
      std::string changed = image;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      EXPECT_EQ(ReadImage(changed).status().code(), StatusCode::kDataLoss) << "byte " << i;
    }
    EXPECT_EQ(ReadImage(image.substr(0, i)).status().code(), StatusCode::kDataLoss) << "cut at " << i;
  }
  EXPECT_EQ(ReadImage(image + "x").status().code(), StatusCode::kDataLoss);
}

TEST(EdgeImage, OfNothingIsSmall) {
  const auto read = ReadImage(ImageOf(EdgeGraph(), 0));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ((*read)->live_edges(), 0u);
}

}  // namespace
}  // namespace longbow::graph
