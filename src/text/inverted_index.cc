#include "text/inverted_index.h"

#include <streamvbyte.h>
#include <streamvbytedelta.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "text/bit_packing.h"

namespace longbow::text {
namespace {

constexpr char kMagic[8] = {'L', 'B', 'T', 'E', 'X', 'T', '\r', '\n'};
constexpr uint32_t kVersion = 1;
// A decoder may read as far as the largest block, rows and frequencies, whatever its bytes say.
constexpr size_t kSlackBytes = 2 * (kBlockRows / 4 + kBlockRows * 4 + 16);
constexpr size_t kAlignment = 8;
constexpr uint32_t kExactLengths = 32;

static_assert(std::endian::native == std::endian::little, "images are little-endian");

uint64_t Aligned(uint64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

Status Damaged(const std::string& what) { return DataLoss("text index is damaged: " + what); }

}  // namespace

uint8_t LengthCode(uint32_t length) {
  if (length < kExactLengths) {
    return static_cast<uint8_t>(length);
  }
  const uint32_t exponent = static_cast<uint32_t>(std::bit_width(length)) - 1;
  const uint32_t code = kExactLengths + (exponent - 5) * 16 + ((length >> (exponent - 4)) & 15);
  return static_cast<uint8_t>(std::min(code, 255u));
}

uint32_t LengthOf(uint8_t code) {
  if (code < kExactLengths) {
    return code;
  }
  const uint32_t exponent = 5 + (code - kExactLengths) / 16;
  return (16u + (code - kExactLengths) % 16) << (exponent - 4);
}

struct InvertedIndex::Header {
  char magic[8];
  uint32_t version;
  uint32_t rows;
  uint32_t terms;
  uint32_t body_crc;  // of everything behind the header
  uint64_t tokens;
  uint64_t term_bytes;
  uint64_t blocks;
  uint64_t postings_bytes;
  uint32_t reserved;
  uint32_t header_crc;  // of everything before it
};

struct InvertedIndex::Term {
  uint64_t postings;  // offset of the first byte
  uint64_t first_block;
  uint32_t text;  // offset; ends where the next begins
  uint32_t rows;
};

size_t Postings::DecodeRows(size_t block, uint32_t* out) const {
  const PostingBlock& at = blocks[block];
  const uint32_t count = RowsIn(block);
  const uint32_t before = block == 0 ? 0 : blocks[block - 1].last_row;
  size_t size = PackedBytes(at.row_bits);
  if (count == kBlockRows) {
    UnpackSums(bytes + at.offset, at.row_bits, before, out);
  } else {
    size = streamvbyte_delta_decode(bytes + at.offset, out, count, before);
  }
  const uint32_t largest = *std::max_element(out, out + count);
  if (largest > at.last_row) {
    std::transform(out, out + count, out, [&at](uint32_t row) { return std::min(row, at.last_row); });
  }
  return size;
}

void Postings::DecodeFrequencies(size_t block, size_t rows_bytes, uint32_t* out) const {
  const PostingBlock& at = blocks[block];
  const uint32_t count = RowsIn(block);
  if (count == kBlockRows) {
    UnpackBits(bytes + at.offset + rows_bytes, at.frequency_bits, out);
  } else {
    streamvbyte_decode_0124(bytes + at.offset + rows_bytes, out, count);
  }
  std::transform(out, out + count, out, [](uint32_t less_one) { return less_one + 1; });
}

// ---- building ----------------------------------------------------------------------------------------------------

// Writes an image; terms come in order.
class InvertedIndexBuilder::ImageMaker {
 public:
  explicit ImageMaker(const std::vector<uint8_t>& length_codes) : length_codes_(length_codes) {}

  void Add(std::string_view term, std::span<const uint32_t> rows, std::span<const uint32_t> frequencies) {
    table_.push_back({.postings = postings_.size(),
                      .first_block = blocks_.size(),
                      .text = static_cast<uint32_t>(term_bytes_.size()),
                      .rows = static_cast<uint32_t>(rows.size())});
    term_bytes_.append(term);
    const size_t first_byte = postings_.size();
    uint32_t before = 0;
    for (size_t begin = 0; begin < rows.size(); begin += kBlockRows) {
      const size_t count = std::min<size_t>(kBlockRows, rows.size() - begin);
      PostingBlock block{.last_row = rows[begin + count - 1],
                         .offset = static_cast<uint32_t>(postings_.size() - first_byte),
                         .length_min = 255};
      uint32_t distances[kBlockRows];
      uint32_t less_one[kBlockRows];
      for (size_t i = 0; i < count; ++i) {
        distances[i] = rows[begin + i] - (i == 0 ? before : rows[begin + i - 1]);
        less_one[i] = frequencies[begin + i] - 1;
        block.tf_max = std::max(block.tf_max, frequencies[begin + i]);
        block.length_min = std::min(block.length_min, length_codes_[rows[begin + i]]);
      }
      uint8_t encoded[kSlackBytes];
      size_t size = 0;
      if (count == kBlockRows) {
        block.row_bits = static_cast<uint8_t>(BitsFor(distances, count));
        block.frequency_bits = static_cast<uint8_t>(BitsFor(less_one, count));
        PackBits(distances, block.row_bits, encoded);
        size = PackedBytes(block.row_bits);
        PackBits(less_one, block.frequency_bits, encoded + size);
        size += PackedBytes(block.frequency_bits);
      } else {
        size = streamvbyte_delta_encode(rows.data() + begin, static_cast<uint32_t>(count), encoded, before);
        size += streamvbyte_encode_0124(less_one, static_cast<uint32_t>(count), encoded + size);
      }
      postings_.append(reinterpret_cast<const char*>(encoded), size);
      before = block.last_row;
      blocks_.push_back(block);
    }
  }

  std::shared_ptr<const InvertedIndex> Finish(uint64_t tokens) {
    table_.push_back({.postings = postings_.size(),
                      .first_block = blocks_.size(),
                      .text = static_cast<uint32_t>(term_bytes_.size()),
                      .rows = 0});
    InvertedIndex::Header header{};
    std::copy(std::begin(kMagic), std::end(kMagic), header.magic);
    header.version = kVersion;
    header.rows = static_cast<uint32_t>(length_codes_.size());
    header.terms = static_cast<uint32_t>(table_.size() - 1);
    header.tokens = tokens;
    header.term_bytes = term_bytes_.size();
    header.blocks = blocks_.size();
    postings_.append(kSlackBytes, '\0');
    header.postings_bytes = postings_.size();
    std::string image(sizeof(header), '\0');
    const auto append = [&image](const void* data, size_t size) {
      image.append(static_cast<const char*>(data), size);
      image.resize(Aligned(image.size()), '\0');
    };
    append(length_codes_.data(), length_codes_.size());
    append(table_.data(), table_.size() * sizeof(table_[0]));
    append(blocks_.data(), blocks_.size() * sizeof(blocks_[0]));
    append(term_bytes_.data(), term_bytes_.size());
    append(postings_.data(), postings_.size());
    header.body_crc = Crc32c(0, image.data() + sizeof(header), image.size() - sizeof(header));
    header.header_crc = Crc32c(0, &header, offsetof(InvertedIndex::Header, header_crc));
    std::copy_n(reinterpret_cast<const char*>(&header), sizeof(header), image.data());
    std::shared_ptr<InvertedIndex> index(new InvertedIndex);
    LB_CHECK(index->Attach(Slice::Own(std::move(image))).ok());  // this very program wrote it
    return index;
  }

 private:
  const std::vector<uint8_t>& length_codes_;
  std::vector<InvertedIndex::Term> table_;
  std::vector<PostingBlock> blocks_;
  std::string term_bytes_;
  std::string postings_;
};

void InvertedIndexBuilder::BeginRow() { lengths_.push_back(0); }

void InvertedIndexBuilder::Add(std::string_view term) {
  const auto row = static_cast<uint32_t>(lengths_.size() - 1);
  ++lengths_.back();
  auto found = lists_.find(term);
  if (found == lists_.end()) {
    found = lists_.emplace(std::string(term), List()).first;
  }
  List& list = found->second;
  if (!list.rows.empty() && list.rows.back() == row) {
    ++list.frequencies.back();
  } else {
    list.rows.push_back(row);
    list.frequencies.push_back(1);
  }
}

std::shared_ptr<const InvertedIndex> InvertedIndexBuilder::Finish() {
  std::vector<const std::pair<const std::string, List>*> sorted;
  sorted.reserve(lists_.size());
  for (const auto& list : lists_) {
    sorted.push_back(&list);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  std::vector<uint8_t> codes(lengths_.size());
  std::transform(lengths_.begin(), lengths_.end(), codes.begin(), LengthCode);
  uint64_t tokens = 0;
  for (const uint32_t length : lengths_) {
    tokens += length;
  }
  ImageMaker maker(codes);
  for (const auto* list : sorted) {
    maker.Add(list->first, list->second.rows, list->second.frequencies);
  }
  auto index = maker.Finish(tokens);
  lists_.clear();
  lengths_.clear();
  return index;
}

std::shared_ptr<const InvertedIndex> InvertedIndex::Join(std::span<const std::shared_ptr<const InvertedIndex>> parts) {
  std::vector<uint8_t> codes;
  std::vector<uint32_t> first_rows;
  uint64_t tokens = 0;
  for (const auto& part : parts) {
    first_rows.push_back(static_cast<uint32_t>(codes.size()));
    codes.insert(codes.end(), part->lengths_, part->lengths_ + part->rows_);
    tokens += part->tokens_;
  }
  InvertedIndexBuilder::ImageMaker maker(codes);
  std::vector<uint32_t> next(parts.size(), 0);  // of each part, its next term
  std::vector<uint32_t> rows;
  std::vector<uint32_t> frequencies;
  while (true) {
    std::optional<std::string_view> least;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (next[i] < parts[i]->terms_ && (!least || parts[i]->TermAt(next[i]) < *least)) {
        least = parts[i]->TermAt(next[i]);
      }
    }
    if (!least) {
      return maker.Finish(tokens);
    }
    rows.clear();
    frequencies.clear();
    for (size_t i = 0; i < parts.size(); ++i) {
      if (next[i] >= parts[i]->terms_ || parts[i]->TermAt(next[i]) != *least) {
        continue;
      }
      const Postings postings = parts[i]->PostingsAt(next[i]++);
      for (size_t block = 0; block < postings.blocks.size(); ++block) {
        const size_t at = rows.size();
        rows.resize(at + kBlockRows);
        frequencies.resize(at + kBlockRows);
        const size_t rows_bytes = postings.DecodeRows(block, rows.data() + at);
        postings.DecodeFrequencies(block, rows_bytes, frequencies.data() + at);
        const size_t count = postings.RowsIn(block);
        rows.resize(at + count);
        frequencies.resize(at + count);
        for (size_t r = at; r < at + count; ++r) {
          rows[r] += first_rows[i];
        }
      }
    }
    maker.Add(*least, rows, frequencies);
  }
}

// ---- reading -----------------------------------------------------------------------------------------------------

Status InvertedIndex::Attach(Slice image) {
  Header header;
  if (image.size() < sizeof(header)) {
    return Damaged("it has " + std::to_string(image.size()) + " bytes, its header alone needs " +
                   std::to_string(sizeof(header)));
  }
  std::memcpy(&header, image.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    return Damaged("it does not begin as one");
  }
  if (header.version > kVersion) {
    return FailedPrecondition("text index of format " + std::to_string(header.version) + ": this program reads up to " +
                              std::to_string(kVersion) + "; use the version that wrote it, or a newer one");
  }
  if (Crc32c(0, &header, offsetof(Header, header_crc)) != header.header_crc) {
    return Damaged("checksum of the header");
  }
  uint64_t at = sizeof(header);
  const auto section = [&](uint64_t size) {
    const uint8_t* begin = image.data() + at;
    at += Aligned(size);
    return begin;
  };
  // Each below 2^48: their sum does not wrap.
  const uint64_t most = uint64_t{1} << 48;
  if (header.term_bytes > most || header.blocks > most / sizeof(PostingBlock) || header.postings_bytes > most ||
      header.postings_bytes < kSlackBytes || header.term_bytes > UINT32_MAX) {
    return Damaged("impossible sizes");
  }
  const uint64_t size = sizeof(header) + Aligned(header.rows) + Aligned((header.terms + uint64_t{1}) * sizeof(Term)) +
                        Aligned(header.blocks * sizeof(PostingBlock)) + Aligned(header.term_bytes) +
                        Aligned(header.postings_bytes);
  if (size != image.size()) {
    return Damaged("its header speaks of " + std::to_string(size) + " bytes, it has " + std::to_string(image.size()));
  }
  image_ = std::move(image);
  rows_ = header.rows;
  terms_ = header.terms;
  tokens_ = header.tokens;
  term_bytes_size_ = header.term_bytes;
  blocks_size_ = header.blocks;
  postings_size_ = header.postings_bytes;
  lengths_ = section(header.rows);
  table_ = reinterpret_cast<const Term*>(section((header.terms + uint64_t{1}) * sizeof(Term)));
  blocks_ = reinterpret_cast<const PostingBlock*>(section(header.blocks * sizeof(PostingBlock)));
  term_bytes_ = reinterpret_cast<const char*>(section(header.term_bytes));
  postings_ = section(header.postings_bytes);
  return {};
}

// That whatever Find gives lies inside.
Status InvertedIndex::CheckTerms() const {
  const Term& end = table_[terms_];
  if (end.text != term_bytes_size_ || end.first_block != blocks_size_ || end.postings + kSlackBytes != postings_size_) {
    return Damaged("its terms do not end where its sections do");
  }
  for (uint32_t t = 0; t < terms_; ++t) {
    const Term& term = table_[t];
    const Term& next = table_[t + 1];
    const uint64_t blocks = (uint64_t{term.rows} + kBlockRows - 1) / kBlockRows;
    if (term.rows == 0 || term.rows > rows_ || next.text < term.text || next.postings < term.postings ||
        next.first_block != term.first_block + blocks || next.first_block > blocks_size_ ||
        next.text > term_bytes_size_ || next.postings > postings_size_ - kSlackBytes) {
      return Damaged("term " + std::to_string(t) + " of " + std::to_string(terms_));
    }
    if (t > 0 && TermAt(t - 1) >= TermAt(t)) {
      return Damaged("term " + std::to_string(t) + " is out of order");
    }
    uint32_t before = 0;
    for (uint64_t b = term.first_block; b < next.first_block; ++b) {
      const PostingBlock& block = blocks_[b];
      const bool is_first = b == term.first_block;
      if (block.last_row >= rows_ || (!is_first && block.last_row <= before) ||
          block.offset > next.postings - term.postings || block.row_bits > 32 || block.frequency_bits > 32) {
        return Damaged("postings of term " + std::to_string(t));
      }
      before = block.last_row;
    }
  }
  return {};
}

Result<std::shared_ptr<const InvertedIndex>> InvertedIndex::Open(Slice image) {
  std::shared_ptr<InvertedIndex> index(new InvertedIndex);
  LB_TRY(index->Attach(std::move(image)));
  Header header;
  std::memcpy(&header, index->image_.data(), sizeof(header));
  if (Crc32c(0, index->image_.data() + sizeof(header), index->image_.size() - sizeof(header)) != header.body_crc) {
    return Damaged("checksum of its contents");
  }
  LB_TRY(index->CheckTerms());
  return std::shared_ptr<const InvertedIndex>(std::move(index));
}

std::string_view InvertedIndex::TermAt(uint32_t term) const {
  return {term_bytes_ + table_[term].text, table_[term + 1].text - table_[term].text};
}

Postings InvertedIndex::PostingsAt(uint32_t term) const {
  const Term& entry = table_[term];
  return {.rows = entry.rows,
          .blocks = {blocks_ + entry.first_block, blocks_ + table_[term + 1].first_block},
          .bytes = postings_ + entry.postings};
}

std::optional<Postings> InvertedIndex::Find(std::string_view term) const {
  uint32_t low = 0;
  uint32_t high = terms_;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (TermAt(middle) < term) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == terms_ || TermAt(low) != term) {
    return std::nullopt;
  }
  return PostingsAt(low);
}

}  // namespace longbow::text
