#include "quantize/product_quantizer.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/limits.h"
#include "base/parallel_for.h"
#include "quantize/code_fields.h"
#include "quantize/estimate_batches.h"
#include "quantize/fast_scan.h"
#include "quantize/quantizer_file.h"
#include "quantize/sums.h"

namespace longbow::quantize {
namespace {

size_t CodeBytes(size_t subspaces, uint32_t bits) { return bits == 8 ? subspaces : (subspaces + 1) / 2; }

size_t Points(uint32_t bits) { return size_t{1} << bits; }

// Where subspace s of `subspaces` begins.
size_t SubspaceBegin(size_t dimension, size_t subspaces, size_t s) { return dimension * s / subspaces; }

// Tables for both numbers of a byte at once: [bytes, 256] of [subspaces, 16].
std::vector<float> PairTables(const std::vector<float>& tables, size_t subspaces) {
  const size_t bytes = (subspaces + 1) / 2;
  std::vector<float> pairs(bytes * 256);
  for (size_t j = 0; j < bytes; ++j) {
    const float* low = tables.data() + 2 * j * 16;
    const bool has_high = 2 * j + 1 < subspaces;
    for (size_t high = 0; high < 16; ++high) {
      const float addend = has_high ? low[16 + high] : 0;
      for (size_t i = 0; i < 16; ++i) {
        pairs[j * 256 + high * 16 + i] = low[i] + addend;
      }
    }
  }
  return pairs;
}

class Estimator final : public QueryEstimator {
 public:
  // tables: [code_bytes, 256]
  Estimator(const kernels::CodeKernels& kernels, size_t code_bytes, std::vector<float> tables,
            std::optional<ScanTables> scan_tables, size_t block_bytes)
      : QueryEstimator(code_bytes),
        kernels_(kernels),
        tables_(std::move(tables)),
        scan_tables_(std::move(scan_tables)),
        block_bytes_(block_bytes) {}

  void EstimateRows(const kernels::CodeRows& rows, float* distances) const override {
    InBatches(rows, code_bytes(), [&](const kernels::CodeRows& batch, size_t begin) {
      kernels_.lookup_bytes(&batch, code_bytes(), tables_.data(), distances + begin);
    });
  }

  void EstimateBlocks(const uint8_t* blocks, size_t n, float* distances) const override {
    const size_t whole = n / kernels::kScanRows;
    scan_tables_->Scan(blocks, block_bytes_, whole, distances);
    if (const size_t rest = n % kernels::kScanRows; rest != 0) {
      float last[kernels::kScanRows];
      scan_tables_->Scan(blocks + whole * block_bytes_, block_bytes_, 1, last);
      std::copy(last, last + rest, distances + whole * kernels::kScanRows);
    }
  }

 private:
  const kernels::CodeKernels& kernels_;
  const std::vector<float> tables_;
  const std::optional<ScanTables> scan_tables_;
  const size_t block_bytes_;
};

}  // namespace

ProductQuantizer::ProductQuantizer(const kernels::CodeKernels& kernels, size_t dimension, uint32_t bits,
                                   std::vector<Codebook> codebooks)
    : Quantizer(kernels, dimension, CodeBytes(codebooks.size(), bits)), bits_(bits), codebooks_(std::move(codebooks)) {}

Result<std::unique_ptr<ProductQuantizer>> ProductQuantizer::Train(const TrainingRows& sample,
                                                                  const ProductQuantizerOptions& options,
                                                                  const kernels::CodeKernels& kernels) {
  if (options.bits != 4 && options.bits != 8) {
    return InvalidArgument("product quantizer: bits must be 4 or 8, got " + std::to_string(options.bits));
  }
  const size_t points = Points(options.bits);
  LB_TRY(CheckTrainingRows(sample, points, "product quantizer"));
  if (options.subspaces < 1 || options.subspaces > sample.dimension) {
    return InvalidArgument("product quantizer: subspaces must be in [1, " + std::to_string(sample.dimension) +
                           "], the dimension, got " + std::to_string(options.subspaces));
  }
  if (options.train_rows_max < points) {
    return InvalidArgument("product quantizer: train_rows_max must be at least " + std::to_string(points) + ", got " +
                           std::to_string(options.train_rows_max));
  }
  const size_t dimension = sample.dimension;
  std::vector<float> drawn;
  for (const size_t row : DrawRows(sample.n, options.train_rows_max, options.seed)) {
    drawn.insert(drawn.end(), sample.rows + row * dimension, sample.rows + (row + 1) * dimension);
  }
  std::vector<Codebook> books(options.subspaces);
  const auto train = [&](size_t s, size_t) {
    const size_t begin = SubspaceBegin(dimension, options.subspaces, s);
    const size_t end = SubspaceBegin(dimension, options.subspaces, s + 1);
    const KMeansOptions kmeans = {.k = points, .iterations = options.iterations, .seed = options.seed + s};
    books[s] = KMeans(drawn.data() + begin, dimension, drawn.size() / dimension, end - begin, kmeans, kernels);
  };
  (void)ParallelFor(options.subspaces, {.threads = options.threads}, train);  // not cancelled: nothing can fail
  return std::unique_ptr<ProductQuantizer>(new ProductQuantizer(kernels, dimension, options.bits, std::move(books)));
}

std::string ProductQuantizer::name() const {
  return "pq" + std::to_string(codebooks_.size()) + "x" + std::to_string(bits_);
}

void ProductQuantizer::EncodeRows(const float* rows, size_t n, uint8_t* codes) const {
  std::vector<uint8_t> numbers(n);
  std::memset(codes, 0, n * code_bytes());
  for (size_t s = 0, begin = 0; s < codebooks_.size(); begin += codebooks_[s].dim, ++s) {
    NearestPoints(codebooks_[s], rows + begin, dimension(), n, 1, kernels_, numbers.data());
    const size_t byte = bits_ == 8 ? s : s / 2;
    const unsigned place = bits_ == 8 ? 0 : s % 2 * 4;
    for (size_t i = 0; i < n; ++i) {
      uint8_t* at = codes + i * code_bytes() + byte;
      *at = static_cast<uint8_t>(*at | (numbers[i] << place));
    }
  }
}

std::vector<float> ProductQuantizer::DistanceTables(const float* query, Metric metric) const {
  const size_t points = Points(bits_);
  std::vector<float> tables(codebooks_.size() * points);
  const std::vector<float> zeros(points, 0);
  for (size_t s = 0, begin = 0; s < codebooks_.size(); begin += codebooks_[s].dim, ++s) {
    const Codebook& codebook = codebooks_[s];
    const float* part = query + begin;
    float* table = tables.data() + s * points;
    if (metric == Metric::kInnerProduct) {
      kernels_.score_columns(part, 0, 1, codebook.columns.data(), zeros.data(), codebook.dim, points, table);
      std::transform(table, table + points, table, [](float value) { return -value; });
      continue;
    }
    // |q - c|^2 term by term: |q|^2 - 2 <q, c> + |c|^2 would lose the small distances of data far from the origin.
    for (size_t d = 0; d < codebook.dim; ++d) {
      const float* column = codebook.columns.data() + d * points;
      for (size_t j = 0; j < points; ++j) {
        const float difference = part[d] - column[j];
        table[j] += difference * difference;
      }
    }
  }
  return tables;
}

std::unique_ptr<QueryEstimator> ProductQuantizer::PrepareQuery(const float* query, Metric metric) const {
  std::vector<float> tables = DistanceTables(query, metric);
  if (bits_ == 8) {
    return std::make_unique<Estimator>(kernels_, code_bytes(), std::move(tables), std::nullopt, 0);
  }
  ScanTables scan_tables(kernels_, tables.data(), codebooks_.size());
  return std::make_unique<Estimator>(kernels_, code_bytes(), PairTables(tables, codebooks_.size()),
                                     std::move(scan_tables), block_bytes());
}

size_t ProductQuantizer::block_bytes() const {
  return bits_ == 8 ? 0 : ScanLines(codebooks_.size()) * kernels::kScanLineBytes;
}

void ProductQuantizer::PackBlocks(const uint8_t* codes, size_t n, uint8_t* blocks) const {
  for (size_t begin = 0; begin < n; begin += kernels::kScanRows, blocks += block_bytes()) {
    PackScanBlock(codes + begin * code_bytes(), code_bytes(), std::min(kernels::kScanRows, n - begin),
                  codebooks_.size(), blocks);
  }
}

// body = dimension u32 , bits u32 , subspaces u32 , for each subspace: columns f32[its dimensions, points]
std::string ProductQuantizer::Serialize() const {
  QuantizerWriter writer(kind());
  writer.Put(static_cast<uint32_t>(dimension()));
  writer.Put(bits_);
  writer.Put(static_cast<uint32_t>(codebooks_.size()));
  for (const Codebook& codebook : codebooks_) {
    writer.Put(codebook.columns);
  }
  return writer.Seal();
}

Result<std::unique_ptr<Quantizer>> ProductQuantizer::Read(QuantizerReader* reader,
                                                          const kernels::CodeKernels& kernels) {
  const uint32_t dimension = reader->Number("dimension", 1, limits::kDimensionMax);
  const uint32_t bits = reader->Number("bits", 4, 8);
  const uint32_t subspaces = reader->Number("subspaces", 1, dimension);
  if (!reader->failed() && bits != 4 && bits != 8) {
    return DataLoss("quantizer: 'bits' is " + std::to_string(bits) + ", expected 4 or 8");
  }
  std::vector<Codebook> codebooks;
  for (size_t s = 0; s < subspaces && !reader->failed(); ++s) {
    const size_t dim = SubspaceBegin(dimension, subspaces, s + 1) - SubspaceBegin(dimension, subspaces, s);
    codebooks.push_back({Points(bits), dim, reader->Floats("columns", dim * Points(bits))});
  }
  LB_TRY(reader->Finish());
  return std::unique_ptr<Quantizer>(new ProductQuantizer(kernels, dimension, bits, std::move(codebooks)));
}

}  // namespace longbow::quantize
