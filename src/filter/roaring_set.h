// A compressed, immutable set of row or value numbers: the one place that knows the roaring library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace longbow::filter {

// Roaring bitmap (Lemire et al., "Consistently faster and smaller compressed bitmaps with Roaring", 2016; the library
// is CRoaring): per 65,536 numbers an array, a bitmap or runs, whichever is smallest. Immutable once built: any number
// of threads read.
class RoaringSet {
 public:
  RoaringSet();
  ~RoaringSet();
  RoaringSet(RoaringSet&&) noexcept;
  RoaringSet& operator=(RoaringSet&&) noexcept;

  // `numbers`: ascending, without repeats.
  static RoaringSet FromAscending(std::span<const uint32_t> numbers);
  // While building: `number` is above every one added before, or equal to the last.
  void Append(uint32_t number);
  // After the last Append: the smallest form.
  void Shrink();

  uint64_t count() const;
  size_t size_bytes() const;
  // Turns bit i of `words` for every i in the set; numbers are below 64 x the words there are.
  void XorInto(uint64_t* words) const;
  std::vector<uint32_t> Numbers() const;
  // Those that stand in every one of `sets` (at least one).
  static std::vector<uint32_t> Intersection(std::span<const RoaringSet* const> sets);

 private:
  struct Bitmap;
  std::unique_ptr<Bitmap> bitmap_;
};

}  // namespace longbow::filter
