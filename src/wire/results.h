// Answers -> Arrow batches and JSON text, in the shapes of the contract.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/query.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow::wire {

// id: uint64 not null, score: float32 not null [, vector: binary not null]
std::shared_ptr<arrow::Schema> HitSchema(bool include_vectors);
// `vectors`: raw little-endian element bytes of each hit's vector, as many as hits, or empty without include_vectors.
// Callers make batches of at most 4096 hits, which also keeps the vectors of one batch below 2 GiB.
std::shared_ptr<arrow::RecordBatch> HitBatch(const std::vector<Hit>& hits, const std::vector<std::string>& vectors,
                                             bool include_vectors);
// {"ids":[7,769],"scores":[1,0.24899596]}
std::string HitsJson(const std::vector<Hit>& hits);

}  // namespace longbow::wire
