#include "quantize/residual_quantizer.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "quantize/estimate_batches.h"
#include "quantize/quantizer_file.h"
#include "quantize/residual_beam.h"
#include "quantize/sums.h"

namespace longbow::quantize {
namespace {

constexpr size_t kBeamMax = 64;
constexpr size_t kRowsPerScore = 16;

size_t CodeBytes(size_t codebooks) { return codebooks + sizeof(float); }

class Estimator final : public QueryEstimator {
 public:
  // tables: [codebooks, 256] of what each point adds to the distance.
  Estimator(const kernels::CodeKernels& kernels, size_t codebooks, std::vector<float> tables, Metric metric,
            double base)
      : QueryEstimator(CodeBytes(codebooks)),
        kernels_(kernels),
        codebooks_(codebooks),
        tables_(std::move(tables)),
        squared_l2_(metric == Metric::kL2),
        base_(static_cast<float>(base)) {}

  void EstimateRows(const kernels::CodeRows& rows, float* distances) const override {
    InBatches(rows, code_bytes(), [&](const kernels::CodeRows& batch, size_t begin) {
      float* out = distances + begin;
      kernels_.lookup_bytes(&batch, codebooks_, tables_.data(), out);
      for (size_t i = 0; i < batch.n; ++i) {
        out[i] += squared_l2_ ? base_ + LoadFactor<float>(CodeAt(batch, i), codebooks_) : base_;
      }
    });
  }

 private:
  const kernels::CodeKernels& kernels_;
  const size_t codebooks_;
  const std::vector<float> tables_;
  const bool squared_l2_;
  const float base_;
};

void Subtract(const Codebook& codebook, const std::vector<uint8_t>& nearest, std::vector<float>* rows) {
  for (size_t i = 0; i < nearest.size(); ++i) {
    float* row = rows->data() + i * codebook.dim;
    for (size_t d = 0; d < codebook.dim; ++d) {
      row[d] -= codebook.at(d, nearest[i]);
    }
  }
}

Status CheckOptions(const ResidualQuantizerOptions& options) {
  if (options.codebooks < 1 || options.codebooks > kResidualCodebooksMax) {
    return InvalidArgument("residual quantizer: codebooks must be in [1, " + std::to_string(kResidualCodebooksMax) +
                           "], got " + std::to_string(options.codebooks));
  }
  if (options.beam < 1 || options.beam > kBeamMax) {
    return InvalidArgument("residual quantizer: beam must be in [1, " + std::to_string(kBeamMax) + "], got " +
                           std::to_string(options.beam));
  }
  if (options.train_rows_max < kResidualPoints) {
    return InvalidArgument("residual quantizer: train_rows_max must be at least " + std::to_string(kResidualPoints) +
                           ", got " + std::to_string(options.train_rows_max));
  }
  return {};
}

}  // namespace

ResidualQuantizer::ResidualQuantizer(const kernels::CodeKernels& kernels, size_t beam, std::vector<float> mean,
                                     std::vector<Codebook> codebooks)
    : Quantizer(kernels, mean.size(), CodeBytes(codebooks.size())),
      beam_(beam),
      mean_(std::move(mean)),
      codebooks_(std::move(codebooks)),
      squared_(SquaredNormsOf(codebooks_)) {}

Result<std::unique_ptr<ResidualQuantizer>> ResidualQuantizer::Train(const TrainingRows& sample,
                                                                    const ResidualQuantizerOptions& options,
                                                                    const kernels::CodeKernels& kernels) {
  LB_TRY(CheckOptions(options));
  LB_TRY(CheckTrainingRows(sample, kResidualPoints, "residual quantizer"));
  const size_t dim = sample.dimension;
  std::vector<float> mean = MeanRow(sample.rows, sample.n, dim);
  std::vector<float> rest;
  for (const size_t row : DrawRows(sample.n, options.train_rows_max, options.seed)) {
    const std::vector<float> centred = Difference(sample.rows + row * dim, mean.data(), dim);
    rest.insert(rest.end(), centred.begin(), centred.end());
  }
  const size_t beam = options.beam;
  std::vector<Codebook> books;
  std::vector<uint8_t> nearest(rest.size() / dim);
  for (size_t m = 0; m < options.codebooks; ++m) {
    const KMeansOptions kmeans = {
        .k = kResidualPoints, .iterations = options.iterations, .seed = options.seed + m, .threads = options.threads};
    books.push_back(KMeans(rest.data(), dim, nearest.size(), dim, kmeans, kernels));
    NearestPoints(books.back(), rest.data(), dim, nearest.size(), options.threads, kernels, nearest.data());
    Subtract(books.back(), nearest, &rest);
  }
  return std::unique_ptr<ResidualQuantizer>(new ResidualQuantizer(kernels, beam, std::move(mean), std::move(books)));
}

const std::vector<std::vector<float>>& ResidualQuantizer::Products() const {
  std::call_once(products_made_, [this] {
    const std::vector<float> zeros(kResidualPoints, 0);
    std::vector<float> points(kResidualPoints * dimension());
    products_.resize(codebooks_.size());
    for (size_t m = 1; m < codebooks_.size(); ++m) {
      products_[m].resize(m * kResidualPoints * kResidualPoints);
    }
    for (size_t j = 0; j < codebooks_.size(); ++j) {
      for (size_t d = 0; d < dimension(); ++d) {
        for (size_t point = 0; point < kResidualPoints; ++point) {
          points[point * dimension() + d] = codebooks_[j].at(d, point);
        }
      }
      for (size_t m = j + 1; m < codebooks_.size(); ++m) {
        kernels_.score_columns(points.data(), dimension(), kResidualPoints, codebooks_[m].columns.data(), zeros.data(),
                               dimension(), kResidualPoints,
                               products_[m].data() + j * kResidualPoints * kResidualPoints);
      }
    }
  });
  return products_;
}

void ResidualQuantizer::EncodeRows(const float* rows, size_t n, uint8_t* codes) const {
  const std::vector<std::vector<float>>& products = Products();
  std::vector<ResidualBeam> beams(std::min(n, kRowsPerScore), ResidualBeam(beam_));
  std::vector<float> scaled(kRowsPerScore * dimension());  // -2 * (row - mean)
  std::vector<float> costs(kRowsPerScore * kResidualPoints);
  for (size_t begin = 0; begin < n; begin += kRowsPerScore) {
    const size_t count = std::min(kRowsPerScore, n - begin);
    for (size_t i = 0; i < count; ++i) {
      beams[i].Start();
      for (size_t d = 0; d < dimension(); ++d) {
        scaled[i * dimension() + d] = -2 * (rows[(begin + i) * dimension() + d] - mean_[d]);
      }
    }
    for (size_t m = 0; m < codebooks_.size(); ++m) {
      kernels_.score_columns(scaled.data(), dimension(), count, codebooks_[m].columns.data(), squared_[m].data(),
                             dimension(), kResidualPoints, costs.data());
      for (size_t i = 0; i < count; ++i) {
        beams[i].Extend(costs.data() + i * kResidualPoints, products[m]);
      }
    }
    for (size_t i = 0; i < count; ++i) {
      StoreCode(beams[i].best().points, codes + (begin + i) * code_bytes());
    }
  }
}

void ResidualQuantizer::StoreCode(const std::vector<uint8_t>& points, uint8_t* code) const {
  double norm = 0;
  for (size_t d = 0; d < dimension(); ++d) {
    double sum = 0;
    for (size_t m = 0; m < points.size(); ++m) {
      sum += codebooks_[m].at(d, points[m]);
    }
    norm += sum * sum;
  }
  std::memcpy(code, points.data(), points.size());
  StoreFactor(code, points.size(), static_cast<float>(norm));
}

std::unique_ptr<QueryEstimator> ResidualQuantizer::PrepareQuery(const float* query, Metric metric) const {
  const std::vector<float> centred = Difference(query, mean_.data(), dimension());
  const bool squared_l2 = metric == Metric::kL2;
  const double base =
      squared_l2 ? SquaredNorm(centred.data(), dimension()) : -InnerProduct(query, mean_.data(), dimension());
  std::vector<float> weights(dimension());
  for (size_t d = 0; d < dimension(); ++d) {
    weights[d] = squared_l2 ? -2 * centred[d] : -query[d];
  }
  const std::vector<float> zeros(kResidualPoints, 0);
  std::vector<float> tables(codebooks_.size() * kResidualPoints);
  for (size_t m = 0; m < codebooks_.size(); ++m) {
    kernels_.score_columns(weights.data(), dimension(), 1, codebooks_[m].columns.data(), zeros.data(), dimension(),
                           kResidualPoints, tables.data() + m * kResidualPoints);
  }
  return std::make_unique<Estimator>(kernels_, codebooks_.size(), std::move(tables), metric, base);
}

// body = dimension u32 , codebooks u32 , beam u32 , mean f32[dimension] , for each codebook: columns f32[dimension,
// 256]
std::string ResidualQuantizer::Serialize() const {
  QuantizerWriter writer(kind());
  writer.Put(static_cast<uint32_t>(dimension()));
  writer.Put(static_cast<uint32_t>(codebooks_.size()));
  writer.Put(static_cast<uint32_t>(beam_));
  writer.Put(mean_);
  for (const Codebook& codebook : codebooks_) {
    writer.Put(codebook.columns);
  }
  return writer.Seal();
}

Result<std::unique_ptr<Quantizer>> ResidualQuantizer::Read(QuantizerReader* reader,
                                                           const kernels::CodeKernels& kernels) {
  const uint32_t dimension = reader->Number("dimension", 1, limits::kDimensionMax);
  const uint32_t count = reader->Number("codebooks", 1, kResidualCodebooksMax);
  const uint32_t beam = reader->Number("beam", 1, kBeamMax);
  std::vector<float> mean = reader->Floats("mean", dimension);
  std::vector<Codebook> codebooks;
  for (size_t m = 0; m < count && !reader->failed(); ++m) {
    codebooks.push_back({kResidualPoints, dimension, reader->Floats("columns", dimension * kResidualPoints)});
  }
  LB_TRY(reader->Finish());
  return std::unique_ptr<Quantizer>(new ResidualQuantizer(kernels, beam, std::move(mean), std::move(codebooks)));
}

}  // namespace longbow::quantize
