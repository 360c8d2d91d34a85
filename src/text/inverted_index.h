// Which rows hold which terms: an immutable image, the same in memory and in a file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/slice.h"
#include "base/status.h"

namespace longbow::text {

// How many terms a row has, in a byte: exact below 32, then 16 steps from one power of two to the next, rounded down
// (the idea is Lucene's SmallFloat).
uint8_t LengthCode(uint32_t length);
uint32_t LengthOf(uint8_t code);

// Up to kBlockRows postings of a term; a posting is a row and how often the term stands there. `tf_max` and
// `length_min` bound every score in it, whatever the statistics of the collection are (Ding and Suel, Faster top-k
// document retrieval using block-max indexes, SIGIR 2011).
struct PostingBlock {
  uint32_t last_row = 0;
  uint32_t offset = 0;  // of its bytes, from the first of the term's
  uint32_t tf_max = 0;
  uint8_t length_min = 0;      // a length code
  uint8_t row_bits = 0;        // of full blocks, which are packed; others are coded by streamvbyte
  uint8_t frequency_bits = 0;  // likewise
  uint8_t reserved = 0;
};

inline constexpr uint32_t kBlockRows = 128;

// The postings of one term, ordered by row. Lives as long as the index.
struct Postings {
  uint32_t rows = 0;  // how many rows hold the term
  std::span<const PostingBlock> blocks;
  const uint8_t* bytes = nullptr;

  uint32_t RowsIn(size_t block) const {
    return block + 1 < blocks.size() ? kBlockRows : rows - static_cast<uint32_t>(block) * kBlockRows;
  }
  // out: [kBlockRows]; the rows of the block, ascending, below the index's rows. Damaged bytes that no checksum caught
  // give other rows, never one that does not exist. Returns how many bytes they take.
  size_t DecodeRows(size_t block, uint32_t* out) const;
  // How often the term stands in each of them, at least once. `rows_bytes`: what DecodeRows of the block returned.
  void DecodeFrequencies(size_t block, size_t rows_bytes, uint32_t* out) const;
};

// Of rows [0, rows()), for one text column. Thread safe.
class InvertedIndex {
 public:
  // Checks every byte and every offset. DATA_LOSS with what is wrong; FAILED_PRECONDITION if a newer program wrote it.
  static Result<std::shared_ptr<const InvertedIndex>> Open(Slice image);
  // Of the rows of several, one after another.
  static std::shared_ptr<const InvertedIndex> Join(std::span<const std::shared_ptr<const InvertedIndex>> parts);

  uint32_t rows() const { return rows_; }
  uint32_t terms() const { return terms_; }
  uint64_t tokens() const { return tokens_; }  // terms of all rows, repeated as there
  std::optional<Postings> Find(std::string_view term) const;
  uint8_t length_code(uint32_t row) const { return lengths_[row]; }
  const Slice& image() const { return image_; }

 private:
  friend class InvertedIndexBuilder;
  struct Header;
  struct Term;
  InvertedIndex() = default;
  Status Attach(Slice image);
  Status CheckTerms() const;
  std::string_view TermAt(uint32_t term) const;
  Postings PostingsAt(uint32_t term) const;

  Slice image_;
  uint32_t rows_ = 0;
  uint32_t terms_ = 0;
  uint64_t tokens_ = 0;
  const uint8_t* lengths_ = nullptr;  // [rows]: codes
  const Term* table_ = nullptr;       // [terms], by term
  const char* term_bytes_ = nullptr;
  const PostingBlock* blocks_ = nullptr;
  const uint8_t* postings_ = nullptr;
  uint64_t term_bytes_size_ = 0;
  uint64_t blocks_size_ = 0;  // how many
  uint64_t postings_size_ = 0;
};

// Makes an index of rows that come in order. One thread.
class InvertedIndexBuilder {
 public:
  // The next row: Begin, its terms, one after another.
  void BeginRow();
  void Add(std::string_view term);
  uint32_t rows() const { return static_cast<uint32_t>(lengths_.size()); }
  // Nothing is left in the builder.
  std::shared_ptr<const InvertedIndex> Finish();

 private:
  friend class InvertedIndex;
  struct List {
    std::vector<uint32_t> rows;
    std::vector<uint32_t> frequencies;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view term) const { return std::hash<std::string_view>()(term); }
  };
  class ImageMaker;

  std::unordered_map<std::string, List, Hash, std::equal_to<>> lists_;
  std::vector<uint32_t> lengths_;
};

}  // namespace longbow::text
