#include "engine/segment_text.h"

#include <arrow/api.h>

#include <algorithm>

namespace longbow::engine {
namespace {

constexpr char kStemmerKey[] = "longbow.text.stemmer";
// Made in one go: between two of them a search may be cancelled, and later ones need not begin anew.
constexpr uint32_t kPieceRows = 8192;

std::string StemmerOf(const arrow::Schema& schema, const arrow::Field& field) {
  for (const auto& metadata : {field.metadata(), schema.metadata()}) {
    if (metadata != nullptr && metadata->Contains(kStemmerKey)) {
      return metadata->Get(kStemmerKey).ValueOr("");
    }
  }
  return "";
}

// Row `i` of a text column; empty for a null.
std::string_view TextAt(const arrow::Array& column, int64_t i) {
  if (column.IsNull(i)) {
    return {};
  }
  return column.type_id() == arrow::Type::STRING ? static_cast<const arrow::StringArray&>(column).GetView(i)
                                                 : static_cast<const arrow::LargeStringArray&>(column).GetView(i);
}

// One column of rows [begin, end); null if none of them has it.
std::shared_ptr<const text::InvertedIndex> IndexColumn(const std::string& name, text::Tokenizer& tokenizer,
                                                       const Chunks& chunks, uint32_t begin, uint32_t end) {
  text::InvertedIndexBuilder builder;
  bool is_there = false;
  for (const Chunk* chunk = &chunks.Find(begin); chunk != chunks.end() && chunk->first_row < end; ++chunk) {
    const std::shared_ptr<arrow::Array> column = chunk->rows->GetColumnByName(name);
    is_there = is_there || column != nullptr;
    const uint32_t last = std::min(end, chunk->end_row());
    for (uint32_t row = std::max(begin, chunk->first_row); row < last; ++row) {
      builder.BeginRow();
      tokenizer.Begin(column == nullptr ? std::string_view() : TextAt(*column, row - chunk->first_row));
      for (std::string_view term; tokenizer.Next(&term);) {
        builder.Add(term);
      }
    }
  }
  return is_there ? builder.Finish() : nullptr;
}

std::shared_ptr<const text::InvertedIndex> WithoutTerms(uint32_t rows) {
  text::InvertedIndexBuilder builder;
  for (uint32_t row = 0; row < rows; ++row) {
    builder.BeginRow();
  }
  return builder.Finish();
}

SegmentText::Piece Joined(const SegmentText::Piece& first, const SegmentText::Piece& second) {
  SegmentText::Piece joined{.begin = first.begin, .end = second.end, .names = first.names, .columns = {}};
  for (const std::string& name : second.names) {
    if (first.Find(name) == nullptr) {
      joined.names.push_back(name);
    }
  }
  for (const std::string& name : joined.names) {
    std::vector<std::shared_ptr<const text::InvertedIndex>> parts;
    for (const SegmentText::Piece* piece : {&first, &second}) {
      const auto at = std::find(piece->names.begin(), piece->names.end(), name);
      parts.push_back(at == piece->names.end() ? WithoutTerms(piece->end - piece->begin)
                                               : piece->columns[static_cast<size_t>(at - piece->names.begin())]);
    }
    joined.columns.push_back(text::InvertedIndex::Join(parts));
  }
  return joined;
}

// Every row is joined about as often as the number of pieces doubles.
void Add(SegmentText::Piece piece, SegmentText::Pieces* pieces) {
  while (!pieces->empty() && pieces->back().end - pieces->back().begin < 2 * (piece.end - piece.begin)) {
    piece = Joined(pieces->back(), piece);
    pieces->pop_back();
  }
  pieces->push_back(std::move(piece));
}

}  // namespace

std::vector<TextColumn> TextColumnsOf(const CollectionSchema& schema) {
  std::vector<TextColumn> columns;
  for (int i = 0; i < schema.columns->num_fields(); ++i) {
    const arrow::Field& field = *schema.columns->field(i);
    const auto type = field.type()->id();
    if (i != schema.id_column && (type == arrow::Type::STRING || type == arrow::Type::LARGE_STRING)) {
      columns.push_back({field.name(), {.stemmer = StemmerOf(*schema.columns, field)}});
    }
  }
  return columns;
}

Status CheckTextColumns(const CollectionSchema& schema) {
  for (const TextColumn& column : TextColumnsOf(schema)) {
    if (const auto tokenizer = text::Tokenizer::Create(column.tokenizer); !tokenizer.ok()) {
      return InvalidArgument("column '" + column.name + "', " + kStemmerKey + ": " +
                             std::string(tokenizer.status().message()));
    }
  }
  return {};
}

const text::InvertedIndex* SegmentText::Piece::Find(const std::string& name) const {
  const auto at = std::find(names.begin(), names.end(), name);
  return at == names.end() ? nullptr : columns[static_cast<size_t>(at - names.begin())].get();
}

std::shared_ptr<const SegmentText::Pieces> SegmentText::current() const {
  std::lock_guard lock(mu_);
  return pieces_;
}

Result<std::shared_ptr<const SegmentText::Pieces>> SegmentText::Cover(const CollectionSchema& schema,
                                                                      const Chunks& chunks, uint32_t rows,
                                                                      const Cancellation* cancellation) {
  const auto covered = [](const Pieces& made) { return made.empty() ? 0 : made.back().end; };
  std::shared_ptr<const Pieces> pieces = current();
  if (covered(*pieces) >= rows) {
    return pieces;
  }
  std::lock_guard making(making_mu_);
  {
    std::lock_guard lock(mu_);
    wanted_ = true;
    pieces = pieces_;
  }
  const std::vector<TextColumn> columns = TextColumnsOf(schema);
  std::vector<std::unique_ptr<text::Tokenizer>> tokenizers;
  for (const TextColumn& column : columns) {
    LB_ASSIGN(auto tokenizer, text::Tokenizer::Create(column.tokenizer));
    tokenizers.push_back(std::move(tokenizer));
  }
  while (covered(*pieces) < rows) {
    if (cancellation != nullptr) {
      LB_TRY(cancellation->Check());
    }
    const uint32_t begin = covered(*pieces);
    Piece piece{.begin = begin, .end = std::min(rows, begin + kPieceRows), .names = {}, .columns = {}};
    for (size_t c = 0; c < columns.size(); ++c) {
      if (auto index = IndexColumn(columns[c].name, *tokenizers[c], chunks, piece.begin, piece.end)) {
        piece.names.push_back(columns[c].name);
        piece.columns.push_back(std::move(index));
      }
    }
    auto more = std::make_shared<Pieces>(*pieces);
    Add(std::move(piece), more.get());
    pieces = more;
    std::lock_guard lock(mu_);
    pieces_ = pieces;
  }
  return pieces;
}

bool SegmentText::KeepUp(const CollectionSchema& schema, const Chunks& chunks, uint32_t rows,
                         const Cancellation* cancellation) {
  {
    std::lock_guard lock(mu_);
    if (!wanted_ || (!pieces_->empty() && pieces_->back().end >= rows)) {
      return false;
    }
  }
  return Cover(schema, chunks, rows, cancellation).ok();
}

size_t SegmentText::size_bytes() const {
  const std::shared_ptr<const Pieces> pieces = current();
  size_t size_bytes = 0;
  for (const Piece& piece : *pieces) {
    for (const auto& index : piece.columns) {
      size_bytes += index->image().size();
    }
  }
  return size_bytes;
}

void SegmentText::Clear() {
  std::lock_guard lock(mu_);
  pieces_ = std::make_shared<Pieces>();
  wanted_ = false;
}

}  // namespace longbow::engine
