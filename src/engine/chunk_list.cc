#include "engine/chunk_list.h"

#include <algorithm>

namespace longbow::engine {

const Chunk& Chunks::Find(uint32_t row) const {
  const Chunk* after =
      std::upper_bound(begin(), end(), row, [](uint32_t value, const Chunk& chunk) { return value < chunk.first_row; });
  return *(after - 1);
}

}  // namespace longbow::engine
