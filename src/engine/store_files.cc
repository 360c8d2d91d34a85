// Where memory is short: rows and graphs that are in files are used from there, and their copies in memory are freed.
#include <algorithm>

#include "engine/store.h"

namespace longbow::engine {
namespace {

constexpr int kShortRoundsMax = 5;                 // of a fifth of a second and more
constexpr uint64_t kWorthMovingBytes = 256 << 10;  // where puts wait; else what ends a segment early

// Everything of a segment that a file can hold is complete and in the files that the manifest names: no graph is half
// made.
bool IsAllInFiles(const Segment& segment, uint32_t rows, const storage::SegmentEntry& entry, bool graph_is_named) {
  if (entry.rows() != rows) {
    return false;
  }
  if (!segment.has_graph() || !segment.graph().IsWantedFor(rows)) {
    return true;
  }
  if (segment.graph().sealed().index == nullptr) {
    return !segment.graph().IsBeingLinked(rows);
  }
  return entry.graph.any() && graph_is_named;
}

}  // namespace

bool Store::MemoryIsWanted() const {
  return budget_.bounded() && (budget_.pressure() != MemoryPressure::kNone || budget_.IsShort());
}

uint64_t Store::RowsInMemoryBytes() const {
  uint64_t size_bytes = 0;
  for (const auto& collection : List()) {
    const std::shared_ptr<const View> view = collection->shard.Pin();
    for (const SegmentView& segment : view->segments) {
      size_bytes += segment.segment->memory_bytes();
    }
  }
  return size_bytes;
}

bool Store::HasSegmentsInScratch() const {
  const auto all = List();
  return std::any_of(all.begin(), all.end(), [](const auto& collection) {
    const std::shared_ptr<const View> view = collection->shard.Pin();
    return std::any_of(view->segments.begin(), view->segments.end(),
                       [](const SegmentView& segment) { return segment.segment->is_in_scratch(); });
  });
}

// Puts wait: what is still being filled is not waited for. Small segments cost memory of their own, so that they are
// only made where nothing else helps.
void Store::EndOpenSegments() {
  const uint64_t worth = ++short_rounds_ > kShortRoundsMax ? kWorthMovingBytes : budget_.EarlyCloseBytes();
  for (const auto& collection : List()) {
    applier_->RunBetween([&](const State&) { collection->shard.EndLastSegment(worth); });
  }
}

// Returns how many segments.
size_t Store::MoveToFiles() {
  const uint64_t worth = budget_.IsShort() ? kWorthMovingBytes : budget_.EarlyCloseBytes();
  const std::lock_guard lock(replacing_mu_);
  const std::lock_guard checkpoint_lock(checkpoint_mu_);
  size_t moved = 0;
  for (const auto& collection : List()) {
    const storage::CollectionEntry* const entry = checkpoints_.FindCollection(collection->shard.id());
    if (entry == nullptr) {
      continue;
    }
    const std::shared_ptr<const View> view = collection->shard.Pin();
    for (const SegmentView& segment : view->segments) {
      const bool is_busy =
          std::find(compacting_.begin(), compacting_.end(), segment.segment.get()) != compacting_.end();
      const auto stored = std::find_if(entry->segments.begin(), entry->segments.end(), [&](const auto& candidate) {
        return candidate.number == segment.segment->number();
      });
      if (!is_busy && stored != entry->segments.end() &&
          (segment.segment->is_in_scratch() || segment.segment->memory_bytes_with_graphs() >= worth) &&
          MoveToFiles(*collection, segment, *stored)) {
        ++moved;
      }
    }
  }
  metrics_.segments_moved.Add(static_cast<double>(moved));
  if (moved > 0) {
    segments_changed_.store(true);
  }
  return moved;
}

// The caller holds replacing_mu_ and checkpoint_mu_.
bool Store::MoveToFiles(Collection& collection, const SegmentView& segment, const storage::SegmentEntry& entry) {
  const Segment& old = *segment.segment;
  const auto graph_is_named = [&] {
    return old.has_graph() && checkpoints_.RowsOfNamedGraph({collection.shard.id(), entry.number}) == segment.rows &&
           old.graph().sealed().rows == segment.rows;
  };
  if (!IsAllInFiles(old, segment.rows, entry, graph_is_named())) {
    return false;
  }
  Result<std::shared_ptr<Segment>> mapped = checkpoints_.MapSegment(collection, entry);
  if (!mapped.ok()) {
    environment_.logger.Warn("a segment stays in memory: its files cannot be mapped",
                             {{"dataset", collection.name}, {"reason", mapped.status().ToString()}});
    return false;
  }
  if (old.has_graph()) {
    (*mapped)->graph().LearnFrom(old.graph());
  }
  bool replaced = false;
  applier_->RunBetween([&](const State&) {
    // More rows may have come to the last one since.
    if (old.rows() == (*mapped)->rows()) {
      replaced = collection.shard.ReplaceSegments({segment.segment}, std::move(*mapped)).ok();
    }
  });
  return replaced;
}

}  // namespace longbow::engine
