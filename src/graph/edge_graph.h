// The edges of a collection: who points at whom, by what predicate, how strongly.
#pragma once

#include <tsl/robin_map.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "graph/stable_array.h"
#include "model/edge.h"

namespace longbow::graph {

inline constexpr uint32_t kNone = UINT32_MAX;  // no node, no edge, no predicate

// Edges are only appended; each carries the version that made it and the one that ended it, so that a reader sees the
// graph of its version without a lock while the writer goes on. What ended stays until the graph is written anew
// (WithoutDead). Subject, predicate and object identify an edge: adding it again sets its weight.
//
// One writer, the thread that applies the log, versions ascending; any number of readers.
class EdgeGraph {
 public:
  EdgeGraph();

  struct Record {
    uint32_t subject = kNone;
    uint32_t object = kNone;
    uint32_t predicate = kNone;
    float weight = 0;
    uint64_t born = 0;
    std::atomic<uint64_t> died{0};  // 0: lives
    std::atomic<uint32_t> next_out{kNone};
    std::atomic<uint32_t> next_in{kNone};

    bool VisibleAt(uint64_t version) const {
      const uint64_t end = died.load(std::memory_order_relaxed);
      return born <= version && (end == 0 || end > version);
    }
  };

  // ---- the writer ----
  // False if it was there with this weight: nothing changed.
  bool Add(const Edge& edge, uint64_t version);
  // False if there is none.
  bool Remove(const Edge& edge, uint64_t version);
  // All edges from and to a node. Returns how many.
  uint64_t RemoveNode(const RowKey& key, uint64_t version);
  uint64_t live_edges() const { return edges_of_.size(); }
  bool IsMostlyDead() const { return edges_.size() > kWorthRewriting && edges_.size() > 2 * edges_of_.size(); }
  // The living edges in the order they were added; nodes and predicates without any are left out.
  std::shared_ptr<EdgeGraph> WithoutDead() const;

  // ---- readers ----
  std::optional<uint32_t> FindNode(const RowKey& key) const;
  std::optional<uint32_t> FindPredicate(const std::string& name) const;
  const RowKey& KeyOf(uint32_t node) const { return nodes_[node].key; }
  const std::string& PredicateOf(uint32_t predicate) const { return predicates_[predicate]; }
  const Record& RecordOf(uint32_t edge) const { return edges_[edge]; }
  Edge EdgeOf(uint32_t edge) const;
  // Numbers of nodes, predicates and edges, ended ones included, are below these, which only grow.
  uint32_t nodes_end() const { return nodes_end_.load(std::memory_order_acquire); }
  uint32_t predicates_end() const { return predicates_end_.load(std::memory_order_acquire); }
  uint32_t edges_end() const { return edges_end_.load(std::memory_order_acquire); }

  // Calls visit(edge, neighbour) for the edges of a node at a version, oldest first, those that go out before those
  // that come in; stops once it returns false. An edge from a node to itself is visited once per direction.
  template <typename Visit>
  void ForEach(uint32_t node, EdgeDirection direction, uint64_t version, Visit visit) const {
    if (direction != EdgeDirection::kIn) {
      for (uint32_t e = nodes_[node].first_out.load(std::memory_order_acquire); e != kNone;
           e = edges_[e].next_out.load(std::memory_order_acquire)) {
        if (edges_[e].VisibleAt(version) && !visit(e, edges_[e].object)) {
          return;
        }
      }
    }
    if (direction != EdgeDirection::kOut) {
      for (uint32_t e = nodes_[node].first_in.load(std::memory_order_acquire); e != kNone;
           e = edges_[e].next_in.load(std::memory_order_acquire)) {
        if (edges_[e].VisibleAt(version) && !visit(e, edges_[e].subject)) {
          return;
        }
      }
    }
  }

  // Memory, about. Thread safe.
  size_t size_bytes() const;

 private:
  static constexpr uint32_t kWorthRewriting = 4'096;

  struct Node {
    RowKey key;
    std::atomic<uint32_t> first_out{kNone};
    std::atomic<uint32_t> first_in{kNone};
    uint32_t last_out = kNone;  // the writer's, as the next
    uint32_t last_in = kNone;
  };
  struct EdgeKey {
    uint64_t nodes;  // subject, object
    uint32_t predicate;
    bool operator==(const EdgeKey&) const = default;
  };
  // The finaliser of MurmurHash3 (Appleby), by a seed that callers cannot know.
  struct Hash {
    size_t operator()(uint64_t number) const {
      number ^= seed;
      number = (number ^ (number >> 33)) * 0xff51afd7ed558ccdULL;
      number = (number ^ (number >> 33)) * 0xc4ceb9fe1a85ec53ULL;
      return number ^ (number >> 33);
    }
    size_t operator()(const EdgeKey& key) const { return (*this)((*this)(key.nodes) + key.predicate); }
    uint64_t seed = 0;
  };

  explicit EdgeGraph(Hash hash);
  std::optional<uint32_t> FindNodeLocked(const RowKey& key) const;
  uint32_t NodeFor(const RowKey& key);
  uint32_t PredicateFor(const std::string& name);
  void Append(const EdgeKey& key, float weight, uint64_t version);
  void End(uint32_t edge, uint64_t version);

  StableArray<Node> nodes_;
  StableArray<std::string> predicates_;
  StableArray<Record> edges_;
  std::atomic<uint32_t> nodes_end_{0};
  std::atomic<uint32_t> predicates_end_{0};
  std::atomic<uint32_t> edges_end_{0};
  tsl::robin_map<EdgeKey, uint32_t, Hash> edges_of_;  // the writer's: the living ones

  mutable std::shared_mutex names_mu_;
  tsl::robin_map<uint64_t, uint32_t, Hash> numbers_;     // guarded by names_mu_, as the next two
  tsl::robin_map<std::string, uint32_t> texts_;          // node of a key
  tsl::robin_map<std::string, uint32_t> predicate_ids_;  // predicate of a name
};

}  // namespace longbow::graph
