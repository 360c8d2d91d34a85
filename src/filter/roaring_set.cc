#include "filter/roaring_set.h"

#include <roaring/roaring.h>

#include <algorithm>

#include "filter/bitmap_words.h"

namespace longbow::filter {

struct RoaringSet::Bitmap {
  roaring_bitmap_t* roaring = nullptr;
  ~Bitmap() { roaring_bitmap_free(roaring); }
};

namespace {

constexpr uint32_t kContainerBits = 1u << 16;
constexpr int64_t kContainerWords = kContainerBits / kWordBits;

void TurnBit(uint64_t* words, uint32_t bit) { words[bit / kWordBits] ^= uint64_t{1} << (bit % kWordBits); }

void XorBitset(const bitset_container_t& container, uint64_t* words) {
  // The last container may reach beyond the caller's words, with zeros only.
  for (int64_t i = 0; i < kContainerWords; ++i) {
    if (container.array[i] != 0) {
      words[i] ^= container.array[i];
    }
  }
}

void XorRuns(const run_container_t& container, uint64_t* words) {
  for (int32_t run = 0; run < container.n_runs; ++run) {
    const uint32_t last = uint32_t{container.runs[run].value} + container.runs[run].length;
    for (uint32_t bit = container.runs[run].value; bit <= last;) {
      const auto count = std::min<int64_t>(last - bit + 1, kWordBits - bit % kWordBits);
      words[bit / kWordBits] ^= LowMask(count) << (bit % kWordBits);
      bit += static_cast<uint32_t>(count);
    }
  }
}

}  // namespace

RoaringSet::RoaringSet() : bitmap_(std::make_unique<Bitmap>()) { bitmap_->roaring = roaring_bitmap_create(); }
RoaringSet::~RoaringSet() = default;
RoaringSet::RoaringSet(RoaringSet&&) noexcept = default;
RoaringSet& RoaringSet::operator=(RoaringSet&&) noexcept = default;

RoaringSet RoaringSet::FromAscending(std::span<const uint32_t> numbers) {
  RoaringSet set;
  roaring_bitmap_add_many(set.bitmap_->roaring, numbers.size(), numbers.data());
  set.Shrink();
  return set;
}

void RoaringSet::Append(uint32_t number) { roaring_bitmap_add(bitmap_->roaring, number); }

void RoaringSet::Shrink() {
  roaring_bitmap_run_optimize(bitmap_->roaring);
  roaring_bitmap_shrink_to_fit(bitmap_->roaring);
}

uint64_t RoaringSet::count() const { return roaring_bitmap_get_cardinality(bitmap_->roaring); }

size_t RoaringSet::size_bytes() const {
  return sizeof(Bitmap) + sizeof(roaring_bitmap_t) + roaring_bitmap_portable_size_in_bytes(bitmap_->roaring);
}

void RoaringSet::XorInto(uint64_t* words) const {
  const roaring_array_t& containers = bitmap_->roaring->high_low_container;
  for (int32_t i = 0; i < containers.size; ++i) {
    uint64_t* at = words + int64_t{containers.keys[i]} * kContainerWords;
    switch (containers.typecodes[i]) {
      case BITSET_CONTAINER_TYPE_CODE:
        XorBitset(*static_cast<const bitset_container_t*>(containers.containers[i]), at);
        break;
      case RUN_CONTAINER_TYPE_CODE:
        XorRuns(*static_cast<const run_container_t*>(containers.containers[i]), at);
        break;
      default: {  // an array: shared containers occur only in copies, which are not made
        const auto& array = *static_cast<const array_container_t*>(containers.containers[i]);
        for (int32_t k = 0; k < array.cardinality; ++k) {
          TurnBit(at, array.array[k]);
        }
      }
    }
  }
}

std::vector<uint32_t> RoaringSet::Numbers() const {
  std::vector<uint32_t> numbers(count());
  roaring_bitmap_to_uint32_array(bitmap_->roaring, numbers.data());
  return numbers;
}

std::vector<uint32_t> RoaringSet::Intersection(std::span<const RoaringSet* const> sets) {
  if (sets.size() == 1) {
    return sets.front()->Numbers();
  }
  std::vector<const RoaringSet*> smallest_first(sets.begin(), sets.end());
  std::sort(smallest_first.begin(), smallest_first.end(),
            [](const RoaringSet* a, const RoaringSet* b) { return a->count() < b->count(); });
  RoaringSet both;
  roaring_bitmap_free(both.bitmap_->roaring);
  both.bitmap_->roaring = roaring_bitmap_and(smallest_first[0]->bitmap_->roaring, smallest_first[1]->bitmap_->roaring);
  for (size_t i = 2; i < smallest_first.size(); ++i) {
    roaring_bitmap_and_inplace(both.bitmap_->roaring, smallest_first[i]->bitmap_->roaring);
  }
  return both.Numbers();
}

}  // namespace longbow::filter
