// The inverted indexes of a segment's text columns.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "engine/chunk_list.h"
#include "model/schema.h"
#include "text/inverted_index.h"
#include "text/tokenizer.h"

namespace longbow::engine {

// A column that words are looked for in: every utf8 and large_utf8 one but the ids. Its terms are those of
// text::Tokenizer; `longbow.text.stemmer` in the metadata of the field, else of the schema, names a stemmer.
struct TextColumn {
  std::string name;
  text::TokenizerOptions tokenizer;
};
std::vector<TextColumn> TextColumnsOf(const CollectionSchema& schema);
// INVALID_ARGUMENT for a stemmer that does not exist.
Status CheckTextColumns(const CollectionSchema& schema);

// Indexes come into being with the first text search of the segment and are completed by later ones, and by index
// threads behind the puts from then on. Pieces of consecutive rows, each never changed again; small ones are joined
// with their neighbours once they are as large, so that there are few. Rows that died are in them until a compaction.
// Not in files: after a restart, and where memory is short, they are made again when asked for. Thread safe.
class SegmentText {
 public:
  struct Piece {
    uint32_t begin = 0;  // rows [begin, end)
    uint32_t end = 0;
    std::vector<std::string> names;  // of the columns
    std::vector<std::shared_ptr<const text::InvertedIndex>> columns;

    // Null if these rows have no such column.
    const text::InvertedIndex* Find(const std::string& name) const;
  };
  using Pieces = std::vector<Piece>;

  // Pieces that together hold at least rows [0, rows), in order; makes what is missing. `chunks`: of a pinned view.
  // Errors: CANCELLED, DEADLINE_EXCEEDED (what was made until then stays), INVALID_ARGUMENT (stemmer).
  Result<std::shared_ptr<const Pieces>> Cover(const CollectionSchema& schema, const Chunks& chunks, uint32_t rows,
                                              const Cancellation* cancellation);
  // Index threads: covers `rows` if anybody ever searched the text; false: nothing to do.
  bool KeepUp(const CollectionSchema& schema, const Chunks& chunks, uint32_t rows, const Cancellation* cancellation);

  size_t size_bytes() const;
  void Clear();

 private:
  std::shared_ptr<const Pieces> current() const;

  std::mutex making_mu_;  // one maker at a time; before mu_
  mutable std::mutex mu_;
  std::shared_ptr<const Pieces> pieces_ = std::make_shared<Pieces>();  // guarded by mu_
  bool wanted_ = false;                                                // guarded by mu_
};

}  // namespace longbow::engine
