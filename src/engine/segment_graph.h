// The graph of one segment over its life: none, active, sealed.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>

#include "base/cancellation.h"
#include "base/metrics.h"
#include "base/status.h"
#include "engine/memory_budget.h"
#include "engine/query_sample.h"
#include "index/active_graph.h"
#include "index/final_links.h"
#include "index/recall_model.h"
#include "index/sealed_graph.h"
#include "index/vector_rows.h"
#include "model/explanation.h"

namespace longbow::engine {

// How much index threads did; shared by all segments of a store.
struct GraphMetrics {
  Counter seals;             // sealed graphs built
  Counter unlinked_rows;     // dead rows whose links were freed
  Counter repaired_rows;     // rows no walk could reach, linked again
  Counter failures;          // graphs that could not be made: their rows are scanned
  Histogram recall_sampled;  // of single queries of clients, asked again and compared with a scan
};

// What sealed segments spend on their graphs, beside the rows. Bytes are those at 384 dimensions.
enum class IndexMemory {
  kFast,  // SealedGraph: 1.2 to 1.7 times the rows as float32
  kLean,  // LeanGraph: 0.34 times, for searches that take up to 1.3 times as long (at recall .95)
};

struct SegmentGraphOptions {
  index::ActiveGraphOptions active;
  IndexMemory memory = IndexMemory::kFast;
  uint32_t first_rows = 1024;            // below it a scan is all that is needed
  uint32_t seal_rows_min = 8192;         // a segment that is not full is sealed from here on, when it comes to rest
  std::chrono::milliseconds rest{3000};  // nothing linked for so long
  std::chrono::milliseconds look_period{1000};  // between looks for dead rows
  const GraphMetrics* metrics = nullptr;
  MemoryBudget* budget = nullptr;  // null: no bound
  index::ArrayPlace scratch = {};  // where graphs are built that the budget does not hold
};

// What a row costs in the graphs of its segment, about: while it is linked, beside that while the graph is made lean.
inline constexpr uint64_t ActiveGraphRowBytes(uint64_t dimension) {
  return index::CodeArray::RowBytes(dimension) + index::SlackLinks::kSlots * (sizeof(uint32_t) + sizeof(float)) +
         sizeof(uint32_t);
}
inline constexpr uint64_t LeanGraphRowBytes(uint64_t dimension) {
  return index::CodeArray::RowBytes(dimension) + 2 * index::FinalLinks::kDegree * sizeof(uint32_t);
}

struct MaintainOptions {
  size_t threads = 1;  // to seal with
  const Cancellation* cancellation = nullptr;
};

// Rows are linked into an active graph. When the segment is full, or has come to rest, a sealed graph is built from it,
// or a lean one where memory is short or edges go by inner product, which searches then use as long as few rows have
// come since; the active one stays until the segment is full. The links of dead rows are freed once they are many, and
// rows that then cannot be reached are linked again.
//
// Thread safe: any number of threads search (Pin) and work (ClaimWork and Link, Maintain).
class SegmentGraph {
 public:
  // deleted_at: [rows_max] as in Segment; outlives the graph.
  SegmentGraph(std::shared_ptr<const index::VectorRows> rows, const std::atomic<uint64_t>* deleted_at,
               const SegmentGraphOptions& options)
      : rows_(std::move(rows)), deleted_at_(deleted_at), options_(options) {}

  // ---- searches ----
  struct Pinned {
    std::shared_ptr<const index::VectorIndex> index;  // null: no row is linked
    uint32_t rows = 0;                                // those below are in it, the others are to be scanned
    GraphKind kind = GraphKind::kNone;
    size_t step_bytes = 0;                             // that a step of a walk reads, about
    std::shared_ptr<const index::RecallModel> recall;  // null: nothing was learned of it yet
  };
  // The best graph for a reader of `rows` rows.
  Pinned Pin(uint32_t rows) const;
  // Every row below is linked, or dead.
  uint32_t indexed_rows() const { return indexed_rows_.load(std::memory_order_acquire); }

  // Of the active graph; a sealed one has none. Takes as long as reading all links.
  uint32_t CountUnreachableRows() const;

  // Whether a segment of so many rows gets a graph at all.
  bool IsWantedFor(uint32_t rows) const { return rows >= std::min(options_.first_rows, rows_->capacity()); }

  // ---- index threads ----
  struct Work {
    uint32_t begin = 0;
    uint32_t end = 0;
    bool empty() const { return begin == end; }
  };
  // Takes the next rows below `published` that nobody links yet.
  Work ClaimWork(uint32_t published);
  // A cancelled one leaves rows in the tail that nobody will link any more: for the end of the store.
  void Link(Work work, const Cancellation* cancellation = nullptr);
  // Searches tell of the queries that they walked for.
  QuerySample& queries() { return queries_; }

  // ---- files ----
  // A graph that takes no more rows.
  struct Sealed {
    std::shared_ptr<const index::VectorIndex> index;  // null: none yet
    GraphKind kind = GraphKind::kNone;
    size_t step_bytes = 0;
    uint32_t rows = 0;
    uint32_t dead = 0;  // of them, left out
    size_t size_bytes = 0;
    bool is_mapped = false;  // from a file, or in a scratch file: its memory is the kernel's to take
  };
  Sealed sealed() const;
  // Bytes that it holds and the kernel cannot drop.
  struct Memory {
    uint64_t active = 0;
    uint64_t sealed = 0;
  };
  Memory memory() const;
  // Start-up, before any row is linked: a sealed graph of this segment lies in a file. Nothing is linked until it was
  // adopted or turned out to be of no use.
  void AwaitSealed();
  // That graph, of the first rows of `rows` that the segment had when it was closed. If many more have come since than
  // searches should scan, the segment is linked again behind it.
  void AdoptSealed(Sealed sealed, uint32_t rows);
  void GiveUpSealed();
  // This graph will be of the same rows as the other: what that has learned of its recall.
  void LearnFrom(const SegmentGraph& other);
  // The segment takes no more rows than these, though it has room: it is sealed as soon as they are linked.
  void EndAt(uint32_t rows);
  // Some rows are linked, and not all are in a sealed graph.
  bool IsBeingLinked(uint32_t rows) const;

  // Does one of: free the links of the dead and repair, seal, learn what a recall takes, compare a client's query with
  // a scan. False if nothing is due. What is cancelled leaves the segment as it was, and is due again.
  bool Maintain(uint32_t published, const MaintainOptions& options = {});

 private:
  static constexpr uint32_t kSealedTailRowsMax =
      2048;  // scanned beside a sealed graph; more, and the active one serves

  enum class Due { kNothing, kUnlink, kSeal };
  using SteadyClock = std::chrono::steady_clock;

  index::RowFilter Living(uint32_t rows) const {
    return {.end = rows, .deleted_at = deleted_at_, .version = UINT64_MAX};
  }
  bool CreateActiveLocked(uint32_t published);
  bool IsCompleteLocked(uint32_t rows) const { return rows == rows_->capacity() || rows == end_; }
  bool MakesLean(uint32_t rows) const;
  uint32_t CountDead(uint32_t rows) const;
  Due FindDueLocked(uint32_t published);
  void Unlink(index::ActiveGraph& graph, const MaintainOptions& maintain);
  Result<Sealed> BuildSealed(const index::ActiveGraph& graph, uint32_t rows, const MaintainOptions& maintain) const;
  void Seal(index::ActiveGraph& graph, uint32_t rows, const MaintainOptions& maintain);

  // segment_recall.cc
  struct Calibration {
    std::shared_ptr<const index::VectorIndex> graph;  // null: none is due
    uint32_t rows = 0;
    bool sealed = false;
  };
  Calibration ClaimCalibration();
  void Calibrate(const Calibration& claimed, const Cancellation* cancellation);
  bool CheckRecall(const Cancellation* cancellation);

  const std::shared_ptr<const index::VectorRows> rows_;
  const std::atomic<uint64_t>* const deleted_at_;
  const SegmentGraphOptions options_;

  mutable std::mutex mu_;
  std::shared_ptr<index::ActiveGraph> active_;        // guarded by mu_
  Sealed sealed_;                                     // guarded by mu_
  uint32_t dead_unlinked_ = 0;                        // guarded by mu_
  std::shared_ptr<void> active_memory_;               // guarded by mu_: reserved while active_ is there
  uint32_t end_ = UINT32_MAX;                         // guarded by mu_: of a segment that ended early
  uint32_t next_claim_ = 0;                           // guarded by mu_
  std::set<uint32_t> claims_in_flight_;               // guarded by mu_: first rows
  bool awaiting_ = false;                             // guarded by mu_: a sealed graph, from a file
  bool exclusive_ = false;                            // guarded by mu_: somebody maintains, nobody links
  bool failed_ = false;                               // guarded by mu_: no memory for a graph
  SteadyClock::time_point last_linked_{};             // guarded by mu_
  SteadyClock::time_point next_look_{};               // guarded by mu_: dead rows are not counted before
  std::shared_ptr<const index::RecallModel> recall_;  // guarded by mu_, as is all that begins with it:
  bool recall_sealed_ = false;                        // of which graph,
  uint32_t recall_rows_ = 0;                          // of how many rows,
  uint64_t recall_noted_ = 0;                         // and how many queries there had been to learn from
  bool calibrating_ = false;                          // guarded by mu_
  SteadyClock::time_point next_calibration_{};        // guarded by mu_
  SteadyClock::time_point next_check_{};              // guarded by mu_: of a client's query
  QuerySample queries_;                               // has a lock of its own
  std::atomic<uint32_t> indexed_rows_{0};             // stored under mu_
};

}  // namespace longbow::engine
