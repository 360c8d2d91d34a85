#include "engine/memory_keeper.h"

#include <arrow/memory_pool.h>
#include <malloc.h>
#include <pthread.h>

#include <algorithm>

namespace longbow::engine {
namespace {

constexpr std::chrono::milliseconds kCountPeriod{1000};
constexpr std::chrono::milliseconds kReliefPeriod{500};  // it takes milliseconds of all threads that allocate

}  // namespace

MemoryKeeper::MemoryKeeper(MemoryOptions options, MemoryBudget& budget, Metrics& metrics)
    : options_(std::move(options)), budget_(budget) {
  budget_gauge_ = metrics.MakeGauge("longbow_memory_budget_bytes", "max_memory: 0 = no bound");
  budget_gauge_.Set(static_cast<double>(budget_.size_bytes()));
  held_gauge_ = metrics.MakeGauge("longbow_memory_held_bytes",
                                  "Memory of the process that the kernel cannot drop: what the budget bounds");
  constexpr const char* kKinds[] = {"rows",    "ids",  "active_graphs", "sealed_graphs",
                                    "filters", "puts", "receive_cache", "other"};
  static_assert(std::size(kKinds) == std::tuple_size_v<decltype(use_gauges_)>);
  for (size_t i = 0; i < use_gauges_.size(); ++i) {
    use_gauges_[i] =
        metrics.MakeGauge("longbow_memory_used_bytes",
                          "Memory by what it is used for, without files that are only mapped", {{"kind", kKinds[i]}});
  }
  budget_.CountRefusals(
      metrics.MakeCounter("longbow_memory_refusals_total", "Puts refused because the memory budget was used up"));
}

void MemoryKeeper::Start(Source collections) {
  if (!budget_.bounded()) {
    return;
  }
  collections_ = std::move(collections);
  budget_.Observe(options_.budget.held_bytes());
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "memory");
}

void MemoryKeeper::Stop() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  budget_.Stop();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void MemoryKeeper::Run() {
  auto next_relief = std::chrono::steady_clock::now();
  auto next_count = next_relief;
  std::unique_lock lock(mu_);
  while (!wake_.wait_for(lock, options_.period, [&] { return stopping_; })) {
    lock.unlock();
    budget_.Observe(options_.budget.held_bytes());
    const auto now = std::chrono::steady_clock::now();
    if (now >= next_count) {
      NoteStored();
      next_count = now + kCountPeriod;
    }
    if (budget_.pressure() != MemoryPressure::kNone && now >= next_relief) {
      Relieve();
      budget_.Observe(options_.budget.held_bytes());
      next_relief = now + kReliefPeriod;
    }
    lock.lock();
  }
}

void MemoryKeeper::NoteStored() {
  uint64_t float_bytes = 0;
  for (const auto& collection : collections_()) {
    const std::shared_ptr<const View> view = collection->shard.Pin();
    float_bytes += view->rows * view->schema->dimension * sizeof(float);
  }
  budget_.NoteStored(float_bytes);
  const bool is_larger = float_bytes > budget_.size_bytes();
  for (const auto& collection : collections_()) {
    const std::shared_ptr<const View> view = collection->shard.Pin();
    for (const SegmentView& segment : view->segments) {
      if (segment.segment->searchable()) {
        segment.segment->mutable_vectors().set_reads_ahead(is_larger && segment.segment->memory_bytes() == 0);
      }
    }
  }
}

void MemoryKeeper::Relieve() {
  for (const auto& collection : collections_()) {
    const std::shared_ptr<const View> view = collection->shard.Pin();
    for (const SegmentView& segment : view->segments) {
      segment.segment->filters().Clear();
      segment.segment->text().Clear();
    }
  }
  if (options_.release_outside != nullptr) {
    options_.release_outside();
  }
  arrow::default_memory_pool()->ReleaseUnused();
  malloc_trim(0);
}

MemoryUse MemoryKeeper::Count(const std::vector<std::shared_ptr<Collection>>& collections) const {
  MemoryUse use;
  for (const auto& collection : collections) {
    const std::shared_ptr<const View> view = collection->shard.Pin();
    use.ids += collection->shard.ids_size_bytes();
    for (const SegmentView& segment : view->segments) {
      use.rows += segment.segment->memory_bytes();
      use.filters += segment.segment->filters().size_bytes() + segment.segment->text().size_bytes();
      if (segment.segment->has_graph()) {
        const SegmentGraph::Memory graph = segment.segment->graph().memory();
        use.active_graphs += graph.active;
        use.sealed_graphs += graph.sealed;
      }
    }
  }
  use.puts = budget_.granted_bytes();
  use.outside = options_.outside_bytes == nullptr ? 0 : options_.outside_bytes();
  return use;
}

void MemoryKeeper::UpdateGauges(const std::vector<std::shared_ptr<Collection>>& collections) {
  const MemoryUse use = Count(collections);
  const uint64_t held = options_.budget.held_bytes();
  held_gauge_.Set(static_cast<double>(held));
  const uint64_t counted[] = {use.rows,    use.ids,  use.active_graphs, use.sealed_graphs,
                              use.filters, use.puts, use.outside,       held - std::min(held, use.total())};
  for (size_t i = 0; i < use_gauges_.size(); ++i) {
    use_gauges_[i].Set(static_cast<double>(counted[i]));
  }
}

}  // namespace longbow::engine
