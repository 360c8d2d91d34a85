#include "index/link_store.h"

#include <limits>
#include <string>
#include <thread>

namespace longbow::index {
namespace {

// Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014: a good mix of all bits.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

Result<std::unique_ptr<LinkStore>> LinkStore::Create(const LinkStoreOptions& options) {
  std::unique_ptr<LinkStore> store(new LinkStore(options));
  size_t upper_lists = 0;  // exact, because levels are a function of the ids
  for (LocalId id = 0; id < options.capacity; ++id) {
    upper_lists += store->LevelOf(id);
  }
  const size_t rows = options.capacity;
  LB_ASSIGN(store->level0_, ReservedMemory::Create(rows * store->stride0_ * sizeof(uint32_t), "graph links"));
  LB_ASSIGN(store->upper_, ReservedMemory::Create(upper_lists * options.m * sizeof(uint32_t), "upper graph links"));
  LB_ASSIGN(store->first_upper_, ReservedMemory::Create(rows * sizeof(uint32_t), "upper graph levels"));
  LB_ASSIGN(store->claimed_, ReservedMemory::Create((rows / 64 + 1) * sizeof(uint64_t), "graph membership"));
  return store;
}

uint32_t LinkStore::LevelOf(LocalId id) const {
  const uint64_t threshold = std::numeric_limits<uint64_t>::max() / options_.m;
  uint64_t digits = Mix(options_.seed ^ Mix(id));
  uint32_t level = 0;
  // In base m every leading zero digit, one time in m, is a level.
  while (digits < threshold && level < kLevelMax) {
    digits *= options_.m;
    ++level;
  }
  return level;
}

bool LinkStore::Claim(LocalId id) {
  std::atomic_ref<uint64_t> word(claimed_.As<uint64_t>()[id / 64]);
  const uint64_t bit = uint64_t{1} << (id % 64);
  if ((word.fetch_or(bit, std::memory_order_relaxed) & bit) != 0) {
    return false;
  }
  if (const uint32_t level = LevelOf(id); level > 0) {
    first_upper_.As<uint32_t>()[id] = upper_lists_.fetch_add(level, std::memory_order_relaxed);
  }
  return true;
}

LinkStore::Lock::Lock(const LinkStore& store, LocalId id) : flag_(store.locks_[Mix(id) % kStripes]) {
  constexpr int kSpinsMax = 64;  // then the holder has probably lost its core
  for (int spins = 0; flag_.exchange(true, std::memory_order_acquire); ++spins) {
    if (spins >= kSpinsMax) {
      std::this_thread::yield();
    }
  }
}

}  // namespace longbow::index
