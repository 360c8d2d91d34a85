#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/limits.h"
#include "index/active_graph.h"

namespace longbow::index {
namespace {

constexpr uint32_t kFirstRefresh = 16;  // entry points are chosen anew here and at every doubling

[[noreturn]] void StopBadInsert(LocalId id, uint32_t capacity) {
  std::fprintf(stderr, "bug: row %u inserted into a graph of %u rows %s\n", id, capacity,
               id < capacity ? "a second time" : "lies behind its end");
  std::abort();
}

}  // namespace

Result<std::unique_ptr<ActiveGraph>> ActiveGraph::Create(std::shared_ptr<const VectorRows> rows, LocalId sample_rows,
                                                         const ActiveGraphOptions& options) {
  if (options.degree < 4 || options.degree > SlackLinks::kSlots / 2) {
    return InvalidArgument("graph degree must be between 4 and " + std::to_string(SlackLinks::kSlots / 2) + ", got " +
                           std::to_string(options.degree));
  }
  if (options.ef_construction < options.degree || options.ef_construction > limits::kEfMax) {
    return InvalidArgument("ef_construction must be between the degree, " + std::to_string(options.degree) + ", and " +
                           std::to_string(limits::kEfMax) + ", got " + std::to_string(options.ef_construction));
  }
  if (sample_rows == 0 || sample_rows > rows->capacity()) {
    return InvalidArgument("a graph learns its codes from between 1 and " + std::to_string(rows->capacity()) +
                           " rows, got " + std::to_string(sample_rows));
  }
  auto space = CodeSpace::Learn(*rows, 0, sample_rows);
  LB_ASSIGN(auto codes, RowCodes::Create(std::move(space), rows->capacity(), options.place));
  LB_ASSIGN(auto links, SlackLinks::Create(rows->capacity(), options.place));
  return std::unique_ptr<ActiveGraph>(new ActiveGraph(std::move(rows), options, std::move(codes), std::move(links)));
}

ActiveGraph::ActiveGraph(std::shared_ptr<const VectorRows> rows, const ActiveGraphOptions& options,
                         std::unique_ptr<RowCodes> codes, std::unique_ptr<SlackLinks> links)
    : rows_(std::move(rows)), options_(options), codes_(std::move(codes)), links_(std::move(links)) {}

ActiveGraph::~ActiveGraph() = default;

void ActiveGraph::SetEntries(std::vector<LocalId> candidates) {
  all_entries_.push_back(ChooseEntryPoints(*codes_, candidates));
  entries_.store(all_entries_.back().get(), std::memory_order_release);
}

bool ActiveGraph::InsertFirst(LocalId id) {
  const std::lock_guard lock(entries_mu_);
  if (entries_.load(std::memory_order_relaxed) != nullptr) {
    return false;
  }
  {
    const SlackLinks::Lock row(*links_, id);
    links_->MarkLinked(id);
  }
  SetEntries({id});
  return true;
}

void ActiveGraph::RefreshEntries(uint32_t inserted) {
  if (inserted < kFirstRefresh || (inserted & (inserted - 1)) != 0) {
    return;
  }
  const std::lock_guard lock(entries_mu_);
  const LocalId end = rows_end();
  std::vector<LocalId> candidates;
  for (LocalId id = 0; id < end; ++id) {
    if (links_->IsLinked(id)) {
      candidates.push_back(id);
    }
  }
  if (!candidates.empty()) {
    SetEntries(std::move(candidates));
  }
}

void ActiveGraph::Insert(LocalId id, const RowFilter* living) {
  if (id >= rows_->capacity() || links_->IsLinked(id)) {
    StopBadInsert(id, rows_->capacity());
  }
  LocalId end = rows_end_.load(std::memory_order_relaxed);
  while (end <= id && !rows_end_.compare_exchange_weak(end, id + 1, std::memory_order_acq_rel)) {
  }
  const auto lease = scratch_.Take();
  Scratch& scratch = *lease;
  scratch.values.resize(codes_->dimension());
  codes_->Write(*rows_, id, scratch.values.data());
  if (entries_.load(std::memory_order_acquire) != nullptr || !InsertFirst(id)) {
    scratch.probe.Aim(*codes_, id);
    // Not cancelled: nothing can fail.
    (void)Walk(scratch.probe.probe(), {.ef = options_.ef_construction}, scratch);
    scratch.edges.clear();
    for (size_t i = 0; i < scratch.pool.size(); ++i) {
      const PoolKey key = scratch.pool[i];
      const LocalId neighbor = IdOfKey(key);
      if (neighbor != id && (living == nullptr || living->Contains(neighbor))) {
        scratch.edges.push_back({std::max(0.0f, FloatOfKey(key)), neighbor});
      }
    }
    scratch.pruner.Prune(*codes_, id, scratch.edges, {.keep_max = options_.degree});
    scratch.edges = scratch.pruner.kept();
    {
      const SlackLinks::Lock lock(*links_, id);
      links_->Replace(id, scratch.edges);
      links_->MarkLinked(id);
    }
    for (const Edge& edge : scratch.edges) {
      AddLink(edge.id, {edge.distance, id}, scratch.pruner);
    }
  }
  RefreshEntries(inserted_rows_.fetch_add(1, std::memory_order_acq_rel) + 1);
}

// A full list is pruned, the way a new row chooses its neighbours.
void ActiveGraph::AddLink(LocalId from, Edge edge, Pruner& pruner) {
  const SlackLinks::Lock lock(*links_, from);
  if (!links_->IsLinked(from) || links_->Append(from, edge)) {
    return;  // freed meanwhile, or there was room
  }
  std::vector<Edge> edges(SlackLinks::kSlots + 1, edge);
  for (uint32_t slot = 0; slot < SlackLinks::kSlots; ++slot) {
    edges[slot] = links_->EdgeAt(from, slot);
  }
  std::sort(edges.begin(), edges.end());
  pruner.Prune(*codes_, from, edges, {.keep_max = options_.degree});
  links_->Replace(from, pruner.kept());
}

}  // namespace longbow::index
