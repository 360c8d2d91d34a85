#include "graph/communities.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace longbow::graph {
namespace {

constexpr int kPassesMax = 32;     // over all nodes, per level
constexpr double kGainMin = 1e-7;  // of modularity, per pass: less is not worth another
constexpr uint32_t kNodesBetweenChecks = 1'024;

// Undirected, weighted, neighbours in one array. A loop stands once, with twice its weight.
struct Network {
  std::vector<size_t> begin;  // [nodes + 1]
  std::vector<uint32_t> neighbours;
  std::vector<double> weights;
  std::vector<double> degree;  // [nodes]
  double total = 0;            // of the degrees

  uint32_t nodes() const { return static_cast<uint32_t>(degree.size()); }
};

struct Link {
  uint32_t from;
  uint32_t to;
  double weight;
};

// `links`: each way once. Parallel ones are left as they are.
Network NetworkOf(uint32_t nodes, const std::vector<Link>& links) {
  Network network;
  network.begin.assign(nodes + 1, 0);
  network.degree.assign(nodes, 0);
  for (const Link& link : links) {
    ++network.begin[link.from + 1];
    network.degree[link.from] += link.weight;
    network.total += link.weight;
  }
  std::partial_sum(network.begin.begin(), network.begin.end(), network.begin.begin());
  network.neighbours.resize(links.size());
  network.weights.resize(links.size());
  std::vector<size_t> place(network.begin.begin(), network.begin.end() - 1);
  for (const Link& link : links) {
    network.neighbours[place[link.from]] = link.to;
    network.weights[place[link.from]++] = link.weight;
  }
  return network;
}

// Weights to the communities around a node; empty between two.
class Around {
 public:
  explicit Around(uint32_t nodes) : weight_(nodes, 0) {}

  void Add(uint32_t community, double weight) {
    if (weight_[community] == 0) {
      communities_.push_back(community);
    }
    weight_[community] += weight;
  }
  double WeightTo(uint32_t community) const { return weight_[community]; }
  const std::vector<uint32_t>& communities() const { return communities_; }
  void Clear() {
    for (const uint32_t community : communities_) {
      weight_[community] = 0;
    }
    communities_.clear();
  }

 private:
  std::vector<double> weight_;
  std::vector<uint32_t> communities_;
};

// One level: the community of each node, numbered by nodes.
class Level {
 public:
  explicit Level(const Network& network)
      : network_(network), community_(network.nodes()), degree_(network.degree), around_(network.nodes()) {
    std::iota(community_.begin(), community_.end(), 0);
  }

  Status Run(const Cancellation* cancellation) {
    double gain = 1;
    for (int pass = 0; pass < kPassesMax && gain > kGainMin; ++pass) {
      gain = 0;
      for (uint32_t node = 0; node < network_.nodes(); ++node) {
        if (node % kNodesBetweenChecks == 0 && cancellation != nullptr) {
          LB_TRY(cancellation->Check());
        }
        gain += Move(node);
      }
    }
    return {};
  }

  std::vector<uint32_t>& community() { return community_; }

 private:
  // To the best community around; returns by how much modularity grows.
  double Move(uint32_t node) {
    const uint32_t old = community_[node];
    const double own = network_.degree[node];
    around_.Clear();
    for (size_t i = network_.begin[node]; i < network_.begin[node + 1]; ++i) {
      if (network_.neighbours[i] != node) {
        around_.Add(community_[network_.neighbours[i]], network_.weights[i]);
      }
    }
    degree_[old] -= own;
    const auto worth = [&](uint32_t community) {
      return around_.WeightTo(community) - degree_[community] * own / network_.total;
    };
    uint32_t best = old;
    double best_worth = worth(old);
    const double old_worth = best_worth;
    for (const uint32_t community : around_.communities()) {
      if (const double candidate = worth(community); candidate > best_worth) {
        best = community;
        best_worth = candidate;
      }
    }
    degree_[best] += own;
    community_[node] = best;
    return 2 * (best_worth - old_worth) / network_.total;
  }

  const Network& network_;
  std::vector<uint32_t> community_;
  std::vector<double> degree_;  // of each community
  Around around_;
};

// Numbers the communities from 0 without holes; returns how many there are.
uint32_t Renumber(std::vector<uint32_t>* community) {
  std::vector<uint32_t> number(community->size(), kNone);
  uint32_t count = 0;
  for (uint32_t& value : *community) {
    uint32_t& renamed = number[value];
    renamed = renamed == kNone ? count++ : renamed;
    value = renamed;
  }
  return count;
}

// Each community becomes a node.
Network Condense(const Network& network, const std::vector<uint32_t>& community, uint32_t count) {
  std::vector<std::vector<uint32_t>> members(count);
  for (uint32_t node = 0; node < network.nodes(); ++node) {
    members[community[node]].push_back(node);
  }
  std::vector<Link> links;
  Around around(count);
  for (uint32_t from = 0; from < count; ++from) {
    around.Clear();
    for (const uint32_t node : members[from]) {
      for (size_t i = network.begin[node]; i < network.begin[node + 1]; ++i) {
        around.Add(community[network.neighbours[i]], network.weights[i]);
      }
    }
    for (const uint32_t to : around.communities()) {
      links.push_back({from, to, around.WeightTo(to)});
    }
  }
  return NetworkOf(count, links);
}

double Modularity(const Network& network) {
  double inside = 0;
  double expected = 0;
  for (uint32_t node = 0; node < network.nodes(); ++node) {
    for (size_t i = network.begin[node]; i < network.begin[node + 1]; ++i) {
      inside += network.neighbours[i] == node ? network.weights[i] : 0;
    }
    expected += network.degree[node] / network.total * (network.degree[node] / network.total);
  }
  return network.total > 0 ? inside / network.total - expected : 0;
}

// Nodes with a visible edge, numbered from 0: in `number`, else kNone.
Network FirstNetwork(const EdgeGraph& graph, uint64_t version, std::vector<uint32_t>* number) {
  number->assign(graph.nodes_end(), kNone);
  uint32_t nodes = 0;
  std::vector<Link> links;
  const auto number_of = [&](uint32_t node) {
    uint32_t& given = (*number)[node];
    given = given == kNone ? nodes++ : given;
    return given;
  };
  const uint32_t end = graph.edges_end();
  for (uint32_t e = 0; e < end; ++e) {
    const EdgeGraph::Record& edge = graph.RecordOf(e);
    if (!edge.VisibleAt(version)) {
      continue;
    }
    const uint32_t from = number_of(edge.subject);
    const uint32_t to = number_of(edge.object);
    const double weight = std::fabs(edge.weight);
    if (weight == 0) {
      continue;
    }
    if (from == to) {
      links.push_back({from, from, 2 * weight});
    } else {
      links.push_back({from, to, weight});
      links.push_back({to, from, weight});
    }
  }
  return NetworkOf(nodes, links);
}

// By size, equal ones by their first node.
void OrderBySize(std::vector<uint32_t>* community, uint32_t count, std::vector<uint32_t>* sizes) {
  std::vector<uint32_t> size(count, 0);
  for (const uint32_t value : *community) {
    ++size[value];
  }
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return size[a] > size[b]; });
  std::vector<uint32_t> rank(count);
  for (uint32_t i = 0; i < count; ++i) {
    rank[order[i]] = i;
    sizes->push_back(size[order[i]]);
  }
  for (uint32_t& value : *community) {
    value = rank[value];
  }
}

}  // namespace

Result<Communities> FindCommunities(const EdgeGraph& graph, uint64_t version, const Cancellation* cancellation) {
  std::vector<uint32_t> number;
  Network network = FirstNetwork(graph, version, &number);
  std::vector<uint32_t> community(network.nodes());
  std::iota(community.begin(), community.end(), 0);
  uint32_t count = network.nodes();
  while (network.total > 0) {
    Level level(network);
    LB_TRY(level.Run(cancellation));
    const uint32_t fewer = Renumber(&level.community());
    for (uint32_t& value : community) {
      value = level.community()[value];
    }
    const bool is_done = fewer == count;
    network = Condense(network, level.community(), fewer);
    count = fewer;
    if (is_done) {
      break;
    }
  }
  Communities found;
  found.modularity = Modularity(network);
  OrderBySize(&community, count, &found.sizes);
  found.community_of.assign(number.size(), kNone);
  for (size_t node = 0; node < number.size(); ++node) {
    if (number[node] != kNone) {
      found.community_of[node] = community[number[node]];
    }
  }
  return found;
}

}  // namespace longbow::graph
