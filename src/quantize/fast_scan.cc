#include "quantize/fast_scan.h"

#include <algorithm>
#include <cstring>

namespace longbow::quantize {
namespace {

constexpr size_t kTableEntries = 16;
constexpr size_t kBlocksPerScan = 4;

}  // namespace

void PackScanBlock(const uint8_t* rows, size_t stride, size_t count, size_t nibbles, uint8_t* block) {
  std::memset(block, 0, ScanLines(nibbles) * kernels::kScanLineBytes);
  for (size_t i = 0; i < count; ++i) {
    const size_t dword = i % (kernels::kScanRows / 2);
    const unsigned place = i < kernels::kScanRows / 2 ? 0 : 4;
    for (size_t j = 0; j < nibbles; ++j) {
      const unsigned number = (rows[i * stride + j / 2] >> (j % 2 * 4)) & 15u;
      uint8_t* byte = block + j / kernels::kScanFields * kernels::kScanLineBytes + kernels::kScanFields * dword +
                      j % kernels::kScanFields;
      *byte = static_cast<uint8_t>(*byte | (number << place));
    }
  }
}

ScanTables::ScanTables(const kernels::CodeKernels& kernels, const float* tables, size_t nibbles)
    : kernels_(kernels), lines_(ScanLines(nibbles)), tables_(lines_ * kernels::kScanLineBytes, 0) {
  std::vector<float> least(nibbles);
  float widest = 0;
  double base = 0;
  for (size_t j = 0; j < nibbles; ++j) {
    const auto [low, high] = std::minmax_element(tables + j * kTableEntries, tables + (j + 1) * kTableEntries);
    least[j] = *low;
    base += *low;
    widest = std::max(widest, *high - *low);
  }
  base_ = static_cast<float>(base);
  step_ = widest / 255;
  const double inverse = step_ > 0 ? 255.0 / widest : 0;
  for (size_t i = 0; i < nibbles * kTableEntries; ++i) {
    const double place = static_cast<double>(tables[i] - least[i / kTableEntries]) * inverse;
    tables_[i] = static_cast<uint8_t>(std::min(place + 0.5, 255.0));
  }
}

void ScanTables::Scan(const uint8_t* blocks, size_t stride, size_t block_count, float* sums) const {
  uint32_t counted[kBlocksPerScan * kernels::kScanRows];
  for (size_t b = 0; b < block_count; b += kBlocksPerScan) {
    const size_t count = std::min(kBlocksPerScan, block_count - b);
    kernels_.scan_blocks(blocks + b * stride, stride, count, lines_, tables_.data(), counted);
    float* out = sums + b * kernels::kScanRows;
    for (size_t i = 0; i < count * kernels::kScanRows; ++i) {
      out[i] = base_ + step_ * static_cast<float>(static_cast<int32_t>(counted[i]));
    }
  }
}

}  // namespace longbow::quantize
