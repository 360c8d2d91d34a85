// Requests and answers of the read paths, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/predicate.h"
#include "model/query_vector.h"

namespace longbow {

struct ScanRequest {
  std::string collection;
  std::optional<uint64_t> limit;  // rows; none = all
  Predicate filter;
  std::optional<std::string> cursor;  // paged: where the page before ended; empty: the first page
};

// How hits by vector and hits by words become one list: by rank, or by score and `alpha`.
enum class Fusion { kRank, kScore };

// How the vectors of hits travel: as they are stored, or rounded; kQuantized: see engine/vector_bytes.h.
enum class VectorFormat { kStored, kFloat32, kFloat16, kQuantized };

struct SearchRequest {
  std::string collection;
  std::vector<QueryVector> vectors;     // one search each; complex vectors interleaved re, im
  std::optional<std::string> id;        // instead of vectors: that of this row
  int64_t k = 10;                       // checked by the engine: 1 ..= limits::kSearchKMax
  uint32_t ef = 0;                      // beam width of the graph search; 0 = the collection's default
  std::optional<double> recall_target;  // in the place of ef: mean share of the k nearest rows that come back
  Predicate filter;
  std::string text_query;  // words; without vectors, or with alpha 0, alone
  double alpha = 1.0;      // 1: vectors alone, 0: words alone; between, both: their share for Fusion::kScore;
                           // negative: Fusion::kScore with a share by the look of the words
  Fusion fusion = Fusion::kRank;
  double graph_alpha = 0.0;
  bool include_vectors = false;
  std::vector<std::string> columns;  // of the rows, to come back with them; "*": all but the vector
  VectorFormat vector_format = VectorFormat::kStored;
  bool local_only = false;
  // Only rows at least this near come back. In a client's terms: `radius` is the largest L2 distance (euclidean) or
  // cosine distance (1 - cosine); inner products have none. `score_min` is in scores as answers show them, any metric.
  std::optional<double> radius;
  std::optional<double> score_min;
  std::optional<std::string> cursor;  // paged, k rows a page: where the page before ended; empty: the first page
  bool explain = false;               // say how it was answered
};

// One row found. Best first wherever hits stand in a list: higher score, then lower ordinal.
struct Hit {
  uint64_t id = 0;       // what the wire shows: the id column's number, or the ordinal
  uint64_t ordinal = 0;  // position of the row in its shard: row 0 is the first ever put
  float score = 0;
};

}  // namespace longbow
