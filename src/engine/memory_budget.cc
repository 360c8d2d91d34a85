#include "engine/memory_budget.h"

#include <algorithm>
#include <string>

#include "base/memory_limit.h"

namespace longbow::engine {
namespace {

constexpr uint64_t kRelievePercent = 60;
constexpr uint64_t kPutsPercent = 80;
constexpr uint64_t kGraphsPercent = 24;        // that are being built
constexpr uint64_t kGraphsBesidePercent = 10;  // of them, in what puts leave anyhow
constexpr uint64_t kSegmentPercent = 30;       // of one segment that is filled and linked
constexpr uint64_t kSmallCompactionPercent = 20;
constexpr uint64_t kTailPercent = 75;  // of the rows of one collection that wait for a graph
constexpr uint32_t kSegmentRowsMin = 1024;
constexpr uint64_t kSlowedShare = 4;  // of the room, until the next observation
constexpr uint64_t kLookPercent = 5;  // granted since the last observation: time for another
constexpr int kRetryHintMs = 1000;
constexpr std::chrono::milliseconds kLook{20};
constexpr std::chrono::seconds kShortFor{1};

}  // namespace

MemoryBudget::Grant& MemoryBudget::Grant::operator=(Grant&& other) noexcept {
  std::swap(budget_, other.budget_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

void MemoryBudget::Grant::Release() {
  if (budget_ != nullptr) {
    const std::lock_guard lock(budget_->mu_);
    budget_->outstanding_bytes_ -= size_bytes_;
    budget_ = nullptr;
  }
}

void MemoryBudget::Observe(uint64_t held_bytes) {
  held_bytes_.store(held_bytes, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mu_);
    since_bytes_ = outstanding_bytes_;
  }
  room_.notify_all();
}

uint64_t MemoryBudget::granted_bytes() const {
  const std::lock_guard lock(mu_);
  return outstanding_bytes_;
}

MemoryPressure MemoryBudget::pressure() const {
  return bounded() && held_bytes() > Share(kRelievePercent) ? MemoryPressure::kRelieve : MemoryPressure::kNone;
}

bool MemoryBudget::IsShort() const {
  const int64_t at = short_at_ns_.load(std::memory_order_relaxed);
  return at != INT64_MIN && clock_.SteadyNow().time_since_epoch() - std::chrono::steady_clock::duration(at) < kShortFor;
}

bool MemoryBudget::TakeLocked(uint64_t size_bytes) {
  // What graphs have reserved they will hold soon: rows must not have taken it by then.
  const uint64_t reserved = std::min(graphs_bytes_, Share(kGraphsPercent));
  const uint64_t limit = Share(kPutsPercent) - (reserved - std::min(reserved, Share(kGraphsBesidePercent))) -
                         std::min(compactions_bytes_, Share(kSmallCompactionPercent));
  const uint64_t held = held_bytes();
  if (held + since_bytes_ + size_bytes > limit) {
    return false;
  }
  // Nothing else since the last observation: what fits may always go, or large puts would never.
  if (pressure() != MemoryPressure::kNone && since_bytes_ > 0 &&
      since_bytes_ + size_bytes > (limit - held) / kSlowedShare) {
    return false;
  }
  since_bytes_ += size_bytes;
  outstanding_bytes_ += size_bytes;
  return true;
}

Status MemoryBudget::RefuseLocked(uint64_t size_bytes) {
  refusals_.Add();
  const std::string budget = SizeText(options_.size_bytes) + " (max_memory)";
  if (size_bytes > Share(kPutsPercent)) {
    return ResourceExhausted("a put that needs " + SizeText(size_bytes) + " of memory is more than the budget of " +
                             budget + " ever leaves for one; nothing of this batch was stored; send smaller batches");
  }
  return ResourceExhausted("the memory budget of " + budget + " is used up: " + SizeText(held_bytes()) +
                           " are held, this put needs " + SizeText(size_bytes) +
                           " more; nothing of this batch was stored; retry in " + std::to_string(kRetryHintMs) + " ms");
}

// What was granted since the last observation is more than its error should be.
bool MemoryBudget::IsOutOfDate(uint64_t size_bytes) const {
  const std::lock_guard lock(mu_);
  return since_bytes_ + size_bytes > Share(kLookPercent);
}

Result<MemoryBudget::Grant> MemoryBudget::Admit(uint64_t size_bytes, const Cancellation* cancellation) {
  if (!bounded()) {
    return Grant();
  }
  if (options_.held_bytes != nullptr && IsOutOfDate(size_bytes)) {
    Observe(options_.held_bytes());
  }
  std::unique_lock lock(mu_);
  if (size_bytes > Share(kPutsPercent)) {
    return RefuseLocked(size_bytes);
  }
  const auto give_up_at = clock_.SteadyNow() + options_.put_wait_max;
  while (!TakeLocked(size_bytes)) {
    NoteShort();
    if (stopped_) {
      return Unavailable("the store is stopping");
    }
    if (cancellation != nullptr) {
      LB_TRY(cancellation->Check());
    }
    if (clock_.SteadyNow() >= give_up_at) {
      return RefuseLocked(size_bytes);
    }
    room_.wait_for(lock, kLook);
  }
  return Grant(this, size_bytes);
}

void MemoryBudget::Stop() {
  {
    const std::lock_guard lock(mu_);
    stopped_ = true;
  }
  room_.notify_all();
}

bool MemoryBudget::HasRoomFor(uint64_t size_bytes) const {
  return !bounded() || held_bytes() + granted_bytes() + size_bytes <= Share(kRelievePercent);
}

bool MemoryBudget::HasRoomToCompact(uint64_t size_bytes) const {
  return HasRoomFor(size_bytes) || (size_bytes <= Share(kSmallCompactionPercent) &&
                                    held_bytes() + granted_bytes() + size_bytes <= options_.size_bytes);
}

uint64_t MemoryBudget::CompactionRowsMax(uint64_t row_bytes, uint64_t fixed_bytes, uint64_t rows_max) const {
  const uint64_t share = Share(kSmallCompactionPercent);
  return bounded() ? std::min(rows_max, (share - std::min(share, fixed_bytes)) / row_bytes) : rows_max;
}

std::shared_ptr<void> MemoryBudget::ReserveLocked(uint64_t* reserved, uint64_t size_bytes) {
  *reserved += size_bytes;
  return {this, [this, reserved, size_bytes](void*) {
            const std::lock_guard lock(mu_);
            *reserved -= size_bytes;
          }};
}

std::shared_ptr<void> MemoryBudget::ReserveCompaction(uint64_t size_bytes) {
  const std::lock_guard lock(mu_);
  return ReserveLocked(&compactions_bytes_, size_bytes);
}

bool MemoryBudget::WouldHoldGraphs(double bytes_per_float_byte) const {
  return !bounded() || static_cast<double>(stored_bytes_.load(std::memory_order_relaxed)) * bytes_per_float_byte <=
                           static_cast<double>(Share(kRelievePercent));
}

std::shared_ptr<void> MemoryBudget::ReserveGraph(uint64_t size_bytes) {
  const std::lock_guard lock(mu_);
  if (bounded() && graphs_bytes_ > 0 && graphs_bytes_ + size_bytes > Share(kGraphsPercent)) {
    NoteShort();
    return nullptr;
  }
  return ReserveLocked(&graphs_bytes_, size_bytes);
}

bool MemoryBudget::HoldsGraphBeingBuilt(uint64_t size_bytes) const {
  return !bounded() || size_bytes <= Share(kGraphsPercent);
}

uint32_t MemoryBudget::SegmentRowsMax(uint64_t row_bytes, uint32_t rows_max) const {
  if (!bounded()) {
    return rows_max;
  }
  const uint64_t rows = Share(kSegmentPercent) / std::max<uint64_t>(1, row_bytes);
  return static_cast<uint32_t>(std::min<uint64_t>(rows_max, std::max<uint64_t>(kSegmentRowsMin, rows)));
}

uint64_t MemoryBudget::TailRowsMax(uint64_t row_bytes, uint64_t rows_max) const {
  if (!bounded()) {
    return rows_max;
  }
  const uint64_t rows = Share(kTailPercent) / std::max<uint64_t>(1, row_bytes);
  return std::min<uint64_t>(rows_max, std::max<uint64_t>(2 * kSegmentRowsMin, rows));
}

}  // namespace longbow::engine
