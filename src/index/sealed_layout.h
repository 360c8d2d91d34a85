// Where everything stands in the blocks of a sealed graph.
//
//   a block:  code lines [code_dimension / 16][64] | int8 row [dimension] | BlockHeader | factors u8 [2][32] | ids u32
//   [32]
//
// then zeros up to a multiple of 64 bytes. kernels/graph_kernels.h says what the parts mean.
#pragma once

#include <cstddef>
#include <cstdint>

#include "index/final_links.h"
#include "kernels/graph_kernels.h"

namespace longbow::index {

struct SealedLayout {
  kernels::BlockShape shape{};
  size_t block_stride = 0;
  LocalId rows = 0;
  size_t entry_block_count = 0;

  // dimension, code_dimension: multiples of 16.
  static SealedLayout Of(LocalId rows, size_t dimension, size_t code_dimension, size_t entry_points) {
    static_assert(FinalLinks::kDegree == kernels::kBlockNeighbors);
    SealedLayout layout;
    layout.rows = rows;
    layout.entry_block_count = (entry_points + FinalLinks::kDegree - 1) / FinalLinks::kDegree;
    kernels::BlockShape& shape = layout.shape;
    shape.dimension = dimension;
    shape.code_lines = code_dimension / kernels::kLineDimensions;
    shape.row_offset = shape.code_lines * kernels::kLineBytes;
    shape.header_offset = shape.row_offset + dimension;
    shape.factors_offset = shape.header_offset + sizeof(kernels::BlockHeader);
    shape.ids_offset = shape.factors_offset + 2 * kernels::kBlockNeighbors;
    const size_t end = shape.ids_offset + kernels::kBlockNeighbors * sizeof(LocalId);
    layout.block_stride = (end + 63) / 64 * 64;
    return layout;
  }
};

}  // namespace longbow::index
