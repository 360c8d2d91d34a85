#include "engine/segment_graph.h"

#include <algorithm>
#include <vector>

#include "index/lean_graph.h"

namespace longbow::engine {
namespace {

constexpr uint32_t kWorkRows = 64;            // linked at a time
constexpr uint32_t kUnlinkRows = 256;         // lists that lose the dead, between checks of cancellation
constexpr uint32_t kDeadSharePercent = 10;    // of the linked rows: then their links are freed
constexpr double kFastPerFloatByte = 1.7;     // bytes of a SealedGraph, at most
constexpr uint32_t kResealSharePercent = 10;  // of the sealed rows, come or gone: then a segment is sealed again

bool IsShare(uint32_t part, uint32_t percent, uint32_t whole) {
  return part > 0 && static_cast<uint64_t>(part) * 100 >= static_cast<uint64_t>(whole) * percent;
}

}  // namespace

SegmentGraph::Pinned SegmentGraph::Pin(uint32_t rows) const {
  const std::lock_guard lock(mu_);
  if (sealed_.index != nullptr && (rows <= sealed_.rows + kSealedTailRowsMax || indexed_rows() <= sealed_.rows)) {
    return {sealed_.index, std::min(rows, sealed_.rows), sealed_.kind, sealed_.step_bytes,
            recall_sealed_ ? recall_ : nullptr};
  }
  if (active_ == nullptr) {
    return {};
  }
  constexpr size_t kNewRowsPerStep = 16;  // of a row's links about half were seen before
  return {active_, std::min(rows, indexed_rows()), GraphKind::kActive, kNewRowsPerStep * active_->codes().stride(),
          recall_sealed_ ? nullptr : recall_};
}

uint32_t SegmentGraph::CountUnreachableRows() const {
  std::shared_ptr<index::ActiveGraph> graph;
  {
    const std::lock_guard lock(mu_);
    graph = active_;
  }
  return graph == nullptr ? 0 : graph->CountUnreachableRows();
}

bool SegmentGraph::CreateActiveLocked(uint32_t published) {
  if (active_ != nullptr || failed_ || !IsWantedFor(published)) {
    return active_ != nullptr;
  }
  index::ActiveGraphOptions options = options_.active;
  if (options_.budget != nullptr && !options.place.is_scratch()) {
    const uint64_t size_bytes = uint64_t{std::min(rows_->capacity(), end_)} *
                                (ActiveGraphRowBytes(rows_->dimension()) + LeanGraphRowBytes(rows_->dimension()));
    if (options_.scratch.is_scratch() && !options_.budget->HoldsGraphBeingBuilt(size_bytes)) {
      options.place = options_.scratch;
    } else if (active_memory_ = options_.budget->ReserveGraph(size_bytes); active_memory_ == nullptr) {
      return false;  // asked again soon
    }
  }
  auto graph = index::ActiveGraph::Create(rows_, published, options);
  if (!graph.ok() && options.place.is_scratch() && graph.status().code() == StatusCode::kUnimplemented) {
    // The first graph of all is always given its memory: see ReserveGraph.
    options.place = {.node = options_.active.place.node};
    graph = index::ActiveGraph::Create(rows_, published, options);
  }
  if (!graph.ok() && options.place.is_scratch() && graph.status().code() == StatusCode::kResourceExhausted) {
    return false;  // the disk is full: asked again soon
  }
  if (!graph.ok()) {
    // The rows stay in the tail, which searches scan: slower, and not wrong.
    failed_ = true;
    active_memory_ = nullptr;
    if (options_.metrics != nullptr) {
      Counter(options_.metrics->failures).Add();
    }
    return false;
  }
  active_ = std::move(*graph);
  return true;
}

SegmentGraph::Work SegmentGraph::ClaimWork(uint32_t published) {
  const std::lock_guard lock(mu_);
  const Work work{next_claim_, std::min(published, next_claim_ + kWorkRows)};
  if (work.begin >= work.end || exclusive_ || awaiting_ || !CreateActiveLocked(published)) {
    return {};
  }
  next_claim_ = work.end;
  claims_in_flight_.insert(work.begin);
  return work;
}

void SegmentGraph::Link(Work work, const Cancellation* cancellation) {
  std::shared_ptr<index::ActiveGraph> graph;
  {
    const std::lock_guard lock(mu_);
    graph = active_;
  }
  const index::RowFilter living = Living(rows_->capacity());
  for (uint32_t row = work.begin; row < work.end; ++row) {
    if (IsCancelled(cancellation)) {
      return;  // the claim stays open: nothing counts as linked that is not
    }
    // A row that died before its turn is in nobody's future; a reader of an older version may miss it, as any walk may.
    if (living.Contains(row)) {
      graph->Insert(row, &living);
    }
  }
  const std::lock_guard lock(mu_);
  claims_in_flight_.erase(work.begin);
  last_linked_ = SteadyClock::now();
  const uint32_t linked = claims_in_flight_.empty() ? next_claim_ : *claims_in_flight_.begin();
  indexed_rows_.store(std::max(linked, sealed_.rows), std::memory_order_release);
}

SegmentGraph::Sealed SegmentGraph::sealed() const {
  const std::lock_guard lock(mu_);
  return sealed_;
}

SegmentGraph::Memory SegmentGraph::memory() const {
  const std::lock_guard lock(mu_);
  const uint64_t linked = active_ == nullptr || active_->options().place.is_scratch() ? 0 : active_->rows_end();
  return {linked * ActiveGraphRowBytes(rows_->dimension()), sealed_.is_mapped ? 0 : sealed_.size_bytes};
}

void SegmentGraph::EndAt(uint32_t rows) {
  const std::lock_guard lock(mu_);
  end_ = rows;
}

bool SegmentGraph::IsBeingLinked(uint32_t rows) const {
  const std::lock_guard lock(mu_);
  return (active_ != nullptr || awaiting_) && (sealed_.index == nullptr || sealed_.rows != rows);
}

void SegmentGraph::LearnFrom(const SegmentGraph& other) {
  const std::scoped_lock lock(mu_, other.mu_);
  if (other.recall_sealed_ && other.recall_rows_ == sealed_.rows) {
    recall_ = other.recall_;
    recall_sealed_ = true;
    recall_rows_ = other.recall_rows_;
  }
}

void SegmentGraph::AwaitSealed() {
  const std::lock_guard lock(mu_);
  awaiting_ = true;
}

void SegmentGraph::AdoptSealed(Sealed sealed, uint32_t rows) {
  sealed.dead = CountDead(sealed.rows);
  const std::lock_guard lock(mu_);
  awaiting_ = false;
  indexed_rows_.store(sealed.rows, std::memory_order_release);
  if (rows <= sealed.rows + kSealedTailRowsMax) {
    next_claim_ = rows;
  }
  sealed_ = std::move(sealed);
}

void SegmentGraph::GiveUpSealed() {
  const std::lock_guard lock(mu_);
  awaiting_ = false;
}

uint32_t SegmentGraph::CountDead(uint32_t rows) const {
  uint32_t dead = 0;
  for (uint32_t row = 0; row < rows; ++row) {
    dead += deleted_at_[row].load(std::memory_order_relaxed) != 0 ? 1 : 0;
  }
  return dead;
}

SegmentGraph::Due SegmentGraph::FindDueLocked(uint32_t published) {
  const SteadyClock::time_point now = SteadyClock::now();
  const uint32_t indexed = indexed_rows();
  if (active_ == nullptr || exclusive_ || !claims_in_flight_.empty() || indexed < published || indexed == 0 ||
      now < next_look_) {
    return Due::kNothing;
  }
  next_look_ = now + options_.look_period;
  const uint32_t dead = CountDead(indexed);
  if (IsShare(dead - std::min(dead, dead_unlinked_), kDeadSharePercent, indexed)) {
    return Due::kUnlink;
  }
  if (IsCompleteLocked(indexed)) {
    return Due::kSeal;
  }
  const uint32_t changed = indexed - sealed_.rows + dead - std::min(dead, sealed_.dead);
  const bool is_short = options_.budget != nullptr && options_.budget->IsShort();  // others wait for its memory
  const bool at_rest =
      now - last_linked_ >= options_.rest && indexed >= (is_short ? options_.first_rows : options_.seal_rows_min);
  return at_rest && IsShare(changed, kResealSharePercent, std::max(1u, sealed_.rows)) ? Due::kSeal : Due::kNothing;
}

void SegmentGraph::Unlink(index::ActiveGraph& graph, const MaintainOptions& maintain) {
  const uint32_t rows = graph.rows_end();
  std::vector<uint64_t> dead(rows_->capacity() / 64 + 1);
  uint32_t count = 0;
  for (uint32_t row = 0; row < rows; ++row) {
    if (deleted_at_[row].load(std::memory_order_relaxed) != 0) {
      dead[row / 64] |= uint64_t{1} << (row % 64);
      ++count;
    }
  }
  for (uint32_t begin = 0; begin < rows; begin += kUnlinkRows) {
    if (IsCancelled(maintain.cancellation)) {
      return;
    }
    graph.Unlink(dead.data(), begin, std::min(rows, begin + kUnlinkRows));
  }
  graph.FreeRows(dead.data(), 0, rows);
  const index::RepairReport repaired = graph.Repair(maintain.cancellation);
  const std::lock_guard lock(mu_);
  if (options_.metrics != nullptr) {
    Counter(options_.metrics->unlinked_rows).Add(count - dead_unlinked_);
    Counter(options_.metrics->repaired_rows).Add(repaired.links_added);
  }
  dead_unlinked_ = count;
}

// As was asked for, or because fast ones, of this segment or of all, would bring the store under pressure.
bool SegmentGraph::MakesLean(uint32_t rows) const {
  if (options_.memory == IndexMemory::kLean || options_.budget == nullptr) {
    return options_.memory == IndexMemory::kLean;
  }
  const auto float_bytes = static_cast<double>(uint64_t{rows} * rows_->dimension() * sizeof(float));
  return !options_.budget->WouldHoldGraphs(kFastPerFloatByte) ||
         !options_.budget->HasRoomFor(static_cast<uint64_t>(float_bytes * kFastPerFloatByte));
}

Result<SegmentGraph::Sealed> SegmentGraph::BuildSealed(const index::ActiveGraph& graph, uint32_t rows,
                                                       const MaintainOptions& maintain) const {
  const index::RowFilter living = Living(rows);
  const index::ArrayPlace& place = graph.options().place;
  const index::SealOptions options{
      .threads = maintain.threads, .living = &living, .place = place, .cancellation = maintain.cancellation};
  Sealed sealed{.rows = rows, .dead = CountDead(rows), .is_mapped = place.is_scratch()};
  if (MakesLean(rows) || !index::SealedGraph::Suits(graph)) {
    LB_ASSIGN(std::shared_ptr<const index::LeanGraph> lean, index::LeanGraph::Build(graph, options));
    sealed.step_bytes = lean->step_bytes();
    sealed.size_bytes = lean->size_bytes();
    sealed.index = std::move(lean);
    sealed.kind = GraphKind::kLean;
  } else {
    LB_ASSIGN(std::shared_ptr<const index::SealedGraph> fast, index::SealedGraph::Build(graph, options));
    sealed.step_bytes = fast->step_bytes();
    sealed.size_bytes = fast->size_bytes();
    sealed.index = std::move(fast);
    sealed.kind = GraphKind::kSealed;
  }
  return sealed;
}

void SegmentGraph::Seal(index::ActiveGraph& graph, uint32_t rows, const MaintainOptions& maintain) {
  const index::RepairReport repaired = graph.Repair(maintain.cancellation);
  if (IsCancelled(maintain.cancellation)) {
    return;
  }
  auto sealed = BuildSealed(graph, rows, maintain);
  if (IsCancelled(maintain.cancellation)) {
    return;
  }
  const std::lock_guard lock(mu_);
  if (!sealed.ok()) {
    next_look_ = SteadyClock::now() + std::chrono::minutes(1);
    if (options_.metrics != nullptr) {
      Counter(options_.metrics->failures).Add();
    }
    return;
  }
  sealed_ = *std::move(sealed);
  next_calibration_ = {};
  if (IsCompleteLocked(rows)) {
    active_ = nullptr;
    active_memory_ = nullptr;
  }
  if (options_.metrics != nullptr) {
    Counter(options_.metrics->seals).Add();
    Counter(options_.metrics->repaired_rows).Add(repaired.links_added);
  }
}

bool SegmentGraph::Maintain(uint32_t published, const MaintainOptions& options) {
  std::shared_ptr<index::ActiveGraph> graph;
  Due due;
  uint32_t rows = 0;
  {
    const std::lock_guard lock(mu_);
    due = FindDueLocked(published);
    if (due != Due::kNothing) {
      exclusive_ = true;
      graph = active_;
      rows = indexed_rows();
    }
  }
  if (due == Due::kNothing) {
    const Calibration calibration = ClaimCalibration();
    if (calibration.graph != nullptr) {
      Calibrate(calibration, options.cancellation);
      return true;
    }
    return CheckRecall(options.cancellation);
  }
  if (due == Due::kUnlink) {
    Unlink(*graph, options);
  } else {
    Seal(*graph, rows, options);
  }
  const std::lock_guard lock(mu_);
  exclusive_ = false;
  return true;
}

}  // namespace longbow::engine
