#include "engine/indexer.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "base/cpu_pacer.h"

namespace longbow::engine {
namespace {

constexpr std::chrono::seconds kRoomWaitMax{10};
constexpr std::chrono::milliseconds kYieldMax{250};
// Of a collection that is searched: how much may be scanned behind the walks, and for how long a put waits for that.
constexpr uint64_t kSearchedTailBytes = 1u << 20;
constexpr std::chrono::seconds kSearchedFor{1};
constexpr std::chrono::seconds kSearchedWaitMax{2};
constexpr uint64_t kFewRows = 64;
constexpr uint64_t kFewRowsPatience = 8;  // times as long a tail
// Searches note which columns they filter on but wake nobody.
constexpr std::chrono::milliseconds kFilterWorkPeriod{200};

uint64_t SearchedTailRows(const CollectionSchema& schema) {
  const uint64_t row_bytes = uint64_t{schema.dimension} * ElementSizeBytes(schema.element);
  return kSearchedTailBytes / std::max<uint64_t>(1, row_bytes) + 1;
}

bool YieldsToPuts(Collection& collection, const View& view) {
  using TimePoint = std::chrono::steady_clock::time_point;
  if (view.TailRows() == 0) {
    collection.yielding_since.store(TimePoint{}, std::memory_order_relaxed);
    return false;
  }
  if (collection.entries_in_flight.load(std::memory_order_relaxed) == 0) {
    return false;
  }
  const TimePoint now = std::chrono::steady_clock::now();
  TimePoint since{};
  if (collection.yielding_since.compare_exchange_strong(since, now, std::memory_order_relaxed)) {
    since = now;
  }
  return now - since < kYieldMax;
}

bool WorkOnGraph(SegmentGraph& graph, uint32_t published, const MaintainOptions& options) {
  const SegmentGraph::Work work = graph.ClaimWork(published);
  if (work.empty()) {
    return graph.Maintain(published, options);
  }
  graph.Link(work, options.cancellation);
  return true;
}

}  // namespace

Indexer::Indexer(uint32_t threads, Source collections, const NumaPlacer* numa)
    : collections_(std::move(collections)),
      numa_(numa),
      everywhere_(numa == nullptr || threads < numa->nodes()),
      together_max_(numa == nullptr ? threads : (threads + numa->nodes() - 1) / numa->nodes()) {
  for (uint32_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i] { Run(i); });
    pthread_setname_np(threads_.back().native_handle(), "index");
  }
}

void Indexer::Wake() {
  {
    std::lock_guard lock(mu_);
    ++wakes_;
  }
  work_.notify_all();
}

Status Indexer::WaitForRoom(const Collection& collection, uint64_t rows, uint64_t rows_max,
                            const Cancellation* cancellation) {
  const auto begun = std::chrono::steady_clock::now();
  const auto give_up = begun + kRoomWaitMax;
  const uint64_t searched_rows_max =
      SearchedTailRows(*collection.shard.Pin()->schema) * (rows <= kFewRows ? kFewRowsPatience : 1);
  std::unique_lock lock(mu_);
  while (true) {
    const uint64_t tail = collection.shard.Pin()->TailRows(collection.end_ordinal_at_open);
    const auto now = std::chrono::steady_clock::now();
    const bool leaves_room =
        now - collection.last_search.load(std::memory_order_relaxed) < kSearchedFor && now - begun < kSearchedWaitMax;
    const uint64_t coming = collection.rows_in_flight.load(std::memory_order_relaxed);
    if (tail < rows_max && !(leaves_room && tail + coming >= searched_rows_max)) {
      return {};
    }
    if (cancellation != nullptr) {
      LB_TRY(cancellation->Check());
    }
    if (stopping_) {
      return Unavailable("the server is stopping");
    }
    if (std::chrono::steady_clock::now() >= give_up) {
      return ResourceExhausted("the index of '" + collection.name + "' is " +
                               std::to_string(collection.shard.Pin()->TailRows(collection.end_ordinal_at_open)) +
                               " rows behind (limit " + std::to_string(rows_max) +
                               "); nothing of this batch was stored; retry in 5000 ms");
    }
    progress_.wait_for(lock, std::chrono::milliseconds(20));
  }
}

void Indexer::Stop() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
  }
  cancellation_.Cancel();
  work_.notify_all();
  progress_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) {
      thread.join();
    }
  }
}

void Indexer::Run(size_t number) {
  LowerThreadPriority();
  const uint32_t place = numa_ == nullptr ? 0 : numa_->PlaceOfThread(number);
  if (numa_ != nullptr) {
    numa_->PinThread(place);
  }
  std::unique_lock lock(mu_);
  while (!stopping_) {
    const uint64_t seen = wakes_;
    const size_t together = std::min(1 + idle_, together_max_);
    lock.unlock();
    const bool worked = everywhere_ ? LinkSome(together, Where::kAnywhere, place)
                                    : LinkSome(together, Where::kNear, place) || LinkSome(together, Where::kFar, place);
    lock.lock();
    if (worked) {
      progress_.notify_all();
    } else {
      ++idle_;
      work_.wait_for(lock, kFilterWorkPeriod, [&] { return stopping_ || wakes_ != seen; });
      --idle_;
    }
  }
}

// One piece of work of each collection, on segments so placed, with so many threads where several help; false if there
// was none.
bool Indexer::LinkSome(size_t threads, Where where, uint32_t place) {
  const auto is_passed_over = [&](const Segment& segment) {
    return where != Where::kAnywhere && (segment.numa_place() == place) != (where == Where::kNear);
  };
  bool worked = false;
  for (const auto& collection : collections_()) {
    if (cancellation_.cancelled()) {
      break;
    }
    const std::shared_ptr<const View> view = collection->shard.Pin();
    if (YieldsToPuts(*collection, *view)) {
      continue;
    }
    for (const SegmentView& segment : view->segments) {
      if (segment.segment->has_graph() && !is_passed_over(*segment.segment) &&
          WorkOnGraph(segment.segment->graph(), segment.rows, {threads, &cancellation_})) {
        worked = true;
        break;
      }
    }
    for (const SegmentView& segment : view->segments) {
      const index::VectorRows* vectors = segment.segment->searchable() ? &segment.segment->vectors() : nullptr;
      if (is_passed_over(*segment.segment)) {
        continue;
      }
      if (segment.segment->ShedsMemory()) {
        continue;  // it would be given back at once
      }
      worked = segment.segment->filters().BuildSome(*view->schema, segment.chunks, vectors, &cancellation_) || worked;
      worked = segment.segment->text().KeepUp(*view->schema, segment.chunks, segment.rows, &cancellation_) || worked;
    }
  }
  return worked;
}

}  // namespace longbow::engine
