#include "index/final_links.h"

#include <algorithm>

#include "base/parallel_for.h"
#include "index/visited_set.h"

namespace longbow::index {
namespace {

constexpr uint32_t kFewLinksIn = 8;  // a row should have that many others point to it
constexpr size_t kPieceRows = 64;
constexpr size_t kWidenFrom = 8;   // a short list takes candidates from so many neighbours ...
constexpr size_t kWidenEach = 16;  // ... so many each
// Links that a row may lose to rows out of reach. Where edges go by inner product half of all rows are out of reach,
// and all of those point to the same few rows of large norm, through which every walk comes: without a bound, none of
// the links of those leads on (unequal norms, 50,000 x 128: recall at ef 20 .38 without, .93 with it).
constexpr uint8_t kGivenMax = 2;

class Finisher {
 public:
  Finisher(const ActiveGraph& graph, const RowFilter* living, FinalLinks* out)
      : graph_(graph), living_(living), out_(out), links_in_(out->rows), counts_(out->rows) {}

  Status Run(const SealOptions& options) {
    LB_ASSIGN(edges_,
              ReservedMemory::Create(out_->rows * SlackLinks::kSlots * sizeof(Edge), "pruned links", options.place));
    const ParallelOptions parallel{options.threads, kPieceRows, options.cancellation};
    LB_TRY(ParallelFor(out_->rows, parallel, [this, pruner = Pruner()](size_t begin, size_t end) mutable {
      for (size_t id = begin; id < end; ++id) {
        PruneRow(static_cast<LocalId>(id), pruner);
      }
    }));
    return ParallelFor(out_->rows, parallel,
                       [this, pruner = Pruner(), probe = RowProbe()](size_t begin, size_t end) mutable {
                         for (size_t id = begin; id < end; ++id) {
                           FillRow(static_cast<LocalId>(id), pruner, probe);
                         }
                       });
  }

 private:
  struct Lists {
    std::vector<Edge> kept;
    std::vector<Edge> dropped;
  };
  struct Counts {
    uint8_t kept;
    uint8_t dropped;
  };
  static_assert(SlackLinks::kSlots <= UINT8_MAX);

  bool Belongs(LocalId id) const {
    return graph_.links().IsLinked(id) && (living_ == nullptr || living_->Contains(id));
  }

  void PruneRow(LocalId id, Pruner& pruner) {
    if (!Belongs(id)) {
      return;
    }
    std::vector<Edge> edges;
    const SlackLinks& links = graph_.links();
    for (uint32_t slot = 0; slot < links.Degree(id); ++slot) {
      if (const Edge edge = links.EdgeAt(id, slot); Belongs(edge.id)) {
        edges.push_back(edge);
      }
    }
    std::sort(edges.begin(), edges.end());
    pruner.Prune(graph_.codes(), id, edges, {.keep_max = FinalLinks::kDegree});
    for (const Edge& edge : pruner.kept()) {
      links_in_[edge.id].fetch_add(1, std::memory_order_relaxed);
    }
    Edge* const out = edges_.As<Edge>() + static_cast<size_t>(id) * SlackLinks::kSlots;
    std::copy(pruner.dropped().begin(), pruner.dropped().end(),
              std::copy(pruner.kept().begin(), pruner.kept().end(), out));
    counts_[id] = {static_cast<uint8_t>(pruner.kept().size()), static_cast<uint8_t>(pruner.dropped().size())};
  }

  Lists ListsOf(LocalId id) const {
    const Edge* const kept = edges_.As<const Edge>() + static_cast<size_t>(id) * SlackLinks::kSlots;
    const Edge* const dropped = kept + counts_[id].kept;
    return {{kept, dropped}, {dropped, dropped + counts_[id].dropped}};
  }

  // Neighbours of neighbours, when a row's own candidates do not fill its list.
  void Widen(LocalId id, Lists& lists, RowProbe& probe) const {
    std::vector<LocalId> known{id};
    for (const std::vector<Edge>* edges : {&lists.kept, &lists.dropped}) {
      for (const Edge& edge : *edges) {
        known.push_back(edge.id);
      }
    }
    std::sort(known.begin(), known.end());
    std::vector<LocalId> more;
    const SlackLinks& links = graph_.links();
    for (size_t i = 0; i < std::min(lists.kept.size(), kWidenFrom); ++i) {
      const LocalId neighbor = lists.kept[i].id;
      const size_t count = std::min<size_t>(links.Degree(neighbor), kWidenEach);
      for (size_t slot = 0; slot < count; ++slot) {
        const LocalId candidate = links.At(neighbor, static_cast<uint32_t>(slot));
        if (Belongs(candidate) && !std::binary_search(known.begin(), known.end(), candidate)) {
          more.push_back(candidate);
        }
      }
    }
    std::sort(more.begin(), more.end());
    more.erase(std::unique(more.begin(), more.end()), more.end());
    std::vector<int32_t> dots(more.size());
    std::vector<float> distances(more.size());
    probe.Aim(graph_.codes(), id);
    KeysOf(graph_.codes(), probe.probe(), more.data(), more.size(), dots.data(), distances.data());
    for (size_t i = 0; i < more.size(); ++i) {
      lists.dropped.push_back({std::max(0.0f, distances[i]), more[i]});
    }
    std::sort(lists.dropped.begin(), lists.dropped.end());
  }

  void FillRow(LocalId id, Pruner& pruner, RowProbe& probe) {
    LocalId* const out = out_->at(id);
    Lists lists = ListsOf(id);
    std::vector<Edge>& kept = lists.kept;
    if (kept.empty()) {
      std::fill(out, out + FinalLinks::kDegree, id);
      return;
    }
    if (kept.size() + lists.dropped.size() < FinalLinks::kDegree) {
      Widen(id, lists, probe);
    }
    const auto take = [&](const auto& wanted) {
      std::erase_if(lists.dropped, [&](const Edge& edge) {
        if (kept.size() == FinalLinks::kDegree || !wanted(edge)) {
          return false;
        }
        links_in_[edge.id].fetch_add(1, std::memory_order_relaxed);
        kept.push_back(edge);
        return true;
      });
    };
    if (graph_.codes().space().product_constant() == 0) {  // few are the nearest of any row there, as it must be
      take([&](const Edge& edge) { return links_in_[edge.id].load(std::memory_order_relaxed) < kFewLinksIn; });
    }
    take([&](const Edge& edge) { return !pruner.Occluded(graph_.codes(), kept, edge, kRelaxedPruneFactor); });
    take([](const Edge&) { return true; });
    std::sort(kept.begin(), kept.end());
    for (uint32_t slot = 0; slot < FinalLinks::kDegree; ++slot) {
      out[slot] = kept[slot % kept.size()].id;
    }
  }

  const ActiveGraph& graph_;
  const RowFilter* const living_;
  FinalLinks* const out_;
  std::vector<std::atomic<uint32_t>> links_in_;
  std::vector<Counts> counts_;
  ReservedMemory edges_;  // [rows, SlackLinks::kSlots]: of each row those kept, then those dropped
};

// A breadth-first tree from the entry points. A link that is no edge of the tree can be given to another row without
// cutting anything off.
class Spanning {
 public:
  explicit Spanning(FinalLinks* links)
      : links_(links), parent_(links->rows, kNone), given_(links->rows), around_(links->rows) {
    for (const LocalId id : links->entries->ids) {
      Reach(id, id);
    }
    Spread();
  }

  bool Contains(LocalId id) const { return parent_[id] != kNone; }

  // Gives `id` a link from a row that it points to, or from one of those, or theirs, until one is found that is
  // reachable and has a link to give.
  bool AdoptFromAround(LocalId id) {
    constexpr size_t kAroundMax = 4096;
    around_.Clear();
    around_.Mark(id);
    std::vector<LocalId> around{id};
    for (size_t i = 0; i < around.size() && around.size() < kAroundMax; ++i) {
      for (uint32_t slot = 0; slot < FinalLinks::kDegree; ++slot) {
        const LocalId near = links_->at(around[i])[slot];
        if (!around_.Mark(near)) {
          continue;
        }
        if (Contains(near) && given_[near] < kGivenMax && Adopt(near, id)) {
          return true;
        }
        around.push_back(near);
      }
    }
    return false;
  }

  // Gives `id` a link from `from`, which is reachable; false if all of its links are edges of the tree.
  bool Adopt(LocalId from, LocalId id) {
    LocalId* const list = links_->at(from);
    for (uint32_t slot = FinalLinks::kDegree; slot-- > 0;) {  // the longest link first
      const LocalId other = list[slot];
      const bool twice = slot > 0 && list[slot - 1] == other;
      if (parent_[other] == from && !twice) {
        continue;
      }
      list[slot] = id;
      ++given_[from];
      Reach(id, from);
      Spread();
      return true;
    }
    return false;
  }

 private:
  static constexpr LocalId kNone = ~LocalId{0};

  void Reach(LocalId id, LocalId from) {
    if (parent_[id] == kNone) {
      parent_[id] = from;
      frontier_.push_back(id);
    }
  }
  void Spread() {
    for (size_t i = 0; i < frontier_.size(); ++i) {
      const LocalId id = frontier_[i];
      for (uint32_t slot = 0; slot < FinalLinks::kDegree; ++slot) {
        Reach(links_->at(id)[slot], id);
      }
    }
    frontier_.clear();
  }

  FinalLinks* const links_;
  std::vector<LocalId> parent_;
  std::vector<uint8_t> given_;  // links that it has given away
  std::vector<LocalId> frontier_;
  VisitedSet around_;
};

}  // namespace

Result<FinalLinks> FinishLinks(const ActiveGraph& graph, const SealOptions& options) {
  const RowFilter* const living = options.living;
  FinalLinks links;
  links.rows = graph.rows_end();
  LB_ASSIGN(links.ids,
            ReservedMemory::Create(links.rows * FinalLinks::kDegree * sizeof(LocalId), "final links", options.place));
  LB_TRY(Finisher(graph, living, &links).Run(options));

  std::vector<LocalId> rows;
  for (LocalId id = 0; id < links.rows; ++id) {
    if (graph.links().IsLinked(id) && (living == nullptr || living->Contains(id))) {
      rows.push_back(id);
    }
  }
  if (rows.empty()) {
    return links;
  }
  links.entries = ChooseEntryPoints(graph.codes(), rows);
  Spanning spanning(&links);
  for (const LocalId id : rows) {
    if (spanning.Contains(id)) {
      continue;
    }
    if (options.cancellation != nullptr) {
      LB_TRY(options.cancellation->Check());
    }
    if (!spanning.AdoptFromAround(id)) {
      // An island that leads nowhere else: any reachable row will do, entry points first.
      for (const LocalId from : links.entries->ids) {
        if (spanning.Adopt(from, id)) {
          break;
        }
      }
    }
    ++links.links_moved;
  }
  return links;
}

}  // namespace longbow::index
