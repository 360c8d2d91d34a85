#include "graph/edge_graph.h"

#include <mutex>

#include "base/random.h"

namespace longbow::graph {
namespace {

uint64_t Seed() {
  const Result<uint64_t> seed = SystemSeed();
  return seed.ok() ? *seed : 0;  // one that callers can know: slower where they mean harm, and not wrong
}

uint64_t Both(uint32_t subject, uint32_t object) { return uint64_t{subject} << 32 | object; }

}  // namespace

EdgeGraph::EdgeGraph() : EdgeGraph(Hash{Seed()}) {}

EdgeGraph::EdgeGraph(Hash hash) : edges_of_(0, hash), numbers_(0, hash) {}

bool EdgeGraph::Add(const Edge& edge, uint64_t version) {
  const uint32_t subject = NodeFor(edge.subject);
  const EdgeKey key{Both(subject, NodeFor(edge.object)), PredicateFor(edge.predicate)};
  if (const auto found = edges_of_.find(key); found != edges_of_.end()) {
    if (edges_[found->second].weight == edge.weight) {
      return false;
    }
    End(found->second, version);
  }
  Append(key, edge.weight, version);
  return true;
}

bool EdgeGraph::Remove(const Edge& edge, uint64_t version) {
  const auto subject = FindNode(edge.subject);
  const auto object = FindNode(edge.object);
  const auto predicate = FindPredicate(edge.predicate);
  if (!subject || !object || !predicate) {
    return false;
  }
  const auto found = edges_of_.find({Both(*subject, *object), *predicate});
  if (found == edges_of_.end()) {
    return false;
  }
  End(found->second, version);
  edges_of_.erase(found);
  return true;
}

uint64_t EdgeGraph::RemoveNode(const RowKey& key, uint64_t version) {
  const auto node = FindNode(key);
  if (!node) {
    return 0;
  }
  uint64_t removed = 0;
  ForEach(*node, EdgeDirection::kBoth, UINT64_MAX, [&](uint32_t edge, uint32_t) {
    const Record& record = edges_[edge];
    End(edge, version);
    removed += edges_of_.erase({Both(record.subject, record.object), record.predicate});
    return true;
  });
  return removed;
}

std::shared_ptr<EdgeGraph> EdgeGraph::WithoutDead() const {
  auto graph = std::make_shared<EdgeGraph>();
  for (uint32_t e = 0; e < edges_.size(); ++e) {
    if (edges_[e].died.load(std::memory_order_relaxed) == 0) {
      graph->Add(EdgeOf(e), edges_[e].born);
    }
  }
  return graph;
}

Edge EdgeGraph::EdgeOf(uint32_t edge) const {
  const Record& record = edges_[edge];
  return {KeyOf(record.subject), PredicateOf(record.predicate), KeyOf(record.object), record.weight};
}

std::optional<uint32_t> EdgeGraph::FindNodeLocked(const RowKey& key) const {
  if (const auto* number = std::get_if<uint64_t>(&key)) {
    const auto found = numbers_.find(*number);
    return found == numbers_.end() ? std::nullopt : std::optional(found->second);
  }
  const auto found = texts_.find(std::get<std::string>(key));
  return found == texts_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<uint32_t> EdgeGraph::FindNode(const RowKey& key) const {
  std::shared_lock lock(names_mu_);
  return FindNodeLocked(key);
}

std::optional<uint32_t> EdgeGraph::FindPredicate(const std::string& name) const {
  std::shared_lock lock(names_mu_);
  const auto found = predicate_ids_.find(name);
  return found == predicate_ids_.end() ? std::nullopt : std::optional(found->second);
}

// Only the writer changes the maps, so that it reads them without the lock.
uint32_t EdgeGraph::NodeFor(const RowKey& key) {
  if (const auto found = FindNodeLocked(key)) {
    return *found;
  }
  const uint32_t node = nodes_.size();
  nodes_.Append().key = key;
  nodes_end_.store(node + 1, std::memory_order_release);
  std::unique_lock lock(names_mu_);
  if (const auto* number = std::get_if<uint64_t>(&key)) {
    numbers_.emplace(*number, node);
  } else {
    texts_.emplace(std::get<std::string>(key), node);
  }
  return node;
}

uint32_t EdgeGraph::PredicateFor(const std::string& name) {
  if (const auto found = predicate_ids_.find(name); found != predicate_ids_.end()) {
    return found->second;
  }
  const uint32_t predicate = predicates_.size();
  predicates_.Append() = name;
  predicates_end_.store(predicate + 1, std::memory_order_release);
  std::unique_lock lock(names_mu_);
  predicate_ids_.emplace(name, predicate);
  return predicate;
}

void EdgeGraph::Append(const EdgeKey& key, float weight, uint64_t version) {
  const uint32_t edge = edges_.size();
  Record& record = edges_.Append();
  record.subject = static_cast<uint32_t>(key.nodes >> 32);
  record.object = static_cast<uint32_t>(key.nodes);
  record.predicate = key.predicate;
  record.weight = weight;
  record.born = version;
  edges_of_[key] = edge;
  edges_end_.store(edge + 1, std::memory_order_release);
  Node& from = nodes_[record.subject];
  (from.last_out == kNone ? from.first_out : edges_[from.last_out].next_out).store(edge, std::memory_order_release);
  from.last_out = edge;
  Node& to = nodes_[record.object];
  (to.last_in == kNone ? to.first_in : edges_[to.last_in].next_in).store(edge, std::memory_order_release);
  to.last_in = edge;
}

void EdgeGraph::End(uint32_t edge, uint64_t version) { edges_[edge].died.store(version, std::memory_order_relaxed); }

size_t EdgeGraph::size_bytes() const {
  constexpr size_t kIdBytes = 32;      // of a node's key in a map
  constexpr size_t kEdgeOfBytes = 32;  // of an edge's, at the load the map allows
  const auto nodes = size_t{nodes_end()};
  const auto edges = size_t{edges_end()};
  return nodes * (sizeof(Node) + kIdBytes) + edges * (sizeof(Record) + kEdgeOfBytes);
}

}  // namespace longbow::graph
