#include "index/hnsw.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/limits.h"

namespace longbow::index {
namespace {

constexpr uint32_t kMMin = 2;  // a list must hold its tree links: a parent and up to m children among 2m
constexpr uint32_t kMMax = 128;

uint64_t PackEntry(LocalId id, uint32_t level) {
  return (static_cast<uint64_t>(level) << 32) | (static_cast<uint64_t>(id) + 1);
}

}  // namespace

Result<std::unique_ptr<Hnsw>> Hnsw::Create(std::shared_ptr<const VectorRows> rows, const HnswOptions& options) {
  if (options.m < kMMin || options.m > kMMax) {
    return InvalidArgument("m must be between " + std::to_string(kMMin) + " and " + std::to_string(kMMax) + ", got " +
                           std::to_string(options.m));
  }
  if (options.ef_construction < options.m || options.ef_construction > limits::kEfMax) {
    return InvalidArgument("ef_construction must be between m (" + std::to_string(options.m) + ") and " +
                           std::to_string(limits::kEfMax) + ", got " + std::to_string(options.ef_construction));
  }
  LB_ASSIGN(auto links, LinkStore::Create({.capacity = rows->capacity(), .m = options.m, .seed = options.seed}));
  return std::unique_ptr<Hnsw>(new Hnsw(std::move(rows), options, std::move(links)));
}

std::optional<Hnsw::Entry> Hnsw::LoadEntry() const {
  const uint64_t packed = entry_.load(std::memory_order_acquire);
  if (packed == 0) {
    return std::nullopt;
  }
  return Entry{static_cast<LocalId>(packed) - 1, static_cast<uint32_t>(packed >> 32)};
}

bool Hnsw::SetFirstEntry(LocalId id, uint32_t level) {
  uint64_t none = 0;
  return entry_.compare_exchange_strong(none, PackEntry(id, level), std::memory_order_acq_rel);
}

void Hnsw::RaiseEntry(LocalId id, uint32_t level) {
  uint64_t current = entry_.load(std::memory_order_acquire);
  while ((current >> 32) < level &&
         !entry_.compare_exchange_weak(current, PackEntry(id, level), std::memory_order_acq_rel)) {
  }
}

uint32_t Hnsw::CountReachableRows() const {
  const auto entry = LoadEntry();
  if (!entry) {
    return 0;
  }
  VisitedSet visited(rows_->capacity());
  std::vector<LocalId> open = {entry->id};
  visited.Mark(entry->id);
  uint32_t reached = 0;
  while (!open.empty()) {
    const LinkList list = links_->At(open.back(), 0);
    open.pop_back();
    ++reached;
    Link link;
    for (uint32_t i = 0; list.Get(i, &link); ++i) {
      if (visited.Mark(link.id)) {
        open.push_back(link.id);
      }
    }
  }
  return reached;
}

}  // namespace longbow::index
