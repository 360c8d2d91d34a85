// hnswlib behind plain functions, so that its headers and their compiler flags stay in one shared library.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct Rival;

// inner_product: hnswlib's InnerProductSpace, else its L2Space. Ends the process if memory runs out.
Rival* RivalCreate(size_t dimension, size_t rows, size_t m, size_t ef_construction, bool inner_product);
void RivalFree(Rival* rival);
// Any number of threads. row: [dimension].
void RivalInsert(Rival* rival, const float* row, size_t id);
// Up to k ids, nearest first, into ids[k]; returns how many. query: [dimension].
size_t RivalSearch(Rival* rival, const float* query, size_t k, size_t ef, uint32_t* ids);
}
