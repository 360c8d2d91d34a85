// Answers -> Arrow batches and JSON text, in the shapes of the contract.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/explanation.h"
#include "model/query.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow::wire {

// id: uint64 not null, score: float32 not null [, vector: binary not null] and the rows' own columns, if there are any:
// those that share a name with one of the three as row.id, row.score, row.vector.
std::shared_ptr<arrow::Schema> HitSchema(bool include_vectors, const arrow::RecordBatch* columns = nullptr);
// `vectors`: raw little-endian element bytes of each hit's vector, as many as hits, or empty without include_vectors.
// Callers make batches of at most 4096 hits, which also keeps the vectors of one batch below 2 GiB.
std::shared_ptr<arrow::RecordBatch> HitBatch(const std::vector<Hit>& hits, const std::vector<std::string>& vectors,
                                             bool include_vectors, const arrow::RecordBatch* columns = nullptr);
// {"ids":[7,769],"scores":[1,0.24899596]}; with `vectors`, float32 elements as bytes, as many as hits, also
// "vectors":[[0.1,0.2],...].
std::string HitsJson(const std::vector<Hit>& hits, const std::vector<std::string>& vectors = {});
// [{"ID":7,"Distance":0,"Score":0.016393442,"Metadata":null,"Vector":null}]; no distance belongs to a fused score.
std::string HybridHitsJson(const std::vector<Hit>& hits);

// {"cursor":"...","truncated":false}: each only if it is given. Where the next page begins (empty: there is none);
// whether more than k rows were near enough.
std::string PageJson(const std::optional<std::string>& cursor, const std::optional<bool>& truncated);
// The metadata key of that in an IPC stream's schema.
inline constexpr char kPageKey[] = "longbow.page";

// The metadata key under which a schema of hits says how the searches were answered.
inline constexpr char kExplainKey[] = "longbow.explain";
// A JSON array, one object for each query; see docs/wire/flight.md, Explain.
std::string ExplanationsJson(const std::vector<const SearchExplanation*>& explanations);
// The schema with that under kExplainKey.
std::shared_ptr<arrow::Schema> WithExplanations(const std::shared_ptr<arrow::Schema>& schema,
                                                const std::vector<const SearchExplanation*>& explanations);

}  // namespace longbow::wire
