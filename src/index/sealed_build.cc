#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/parallel_for.h"
#include "index/sealed_graph.h"

namespace longbow::index {
namespace {

constexpr size_t kPieceRows = 128;

// The rows in the dimensions of the codes, as int8: those of the code space, or their projections.
class CodeRows {
 public:
  CodeRows(const RowCodes& codes, const CodeProjection& projection) : codes_(codes), projection_(projection) {}

  Status Project(LocalId rows, const ParallelOptions& parallel) {
    if (projection_.is_identity()) {
      return {};
    }
    projected_.resize(rows * stride());
    return ParallelFor(rows, parallel,
                       [this, row = std::vector<int8_t>(codes_.dimension()), dots = std::vector<int32_t>(),
                        values = std::vector<float>(projection_.dimension())](size_t begin, size_t end) mutable {
                         const kernels::GraphKernels& kernels = codes_.space().kernels();
                         for (size_t i = begin; i < end; ++i) {
                           const auto id = static_cast<LocalId>(i);
                           const int32_t offset = kernels.row_as_query(codes_.row(id), codes_.dimension(), row.data());
                           projection_.Project(kernels, row.data(), offset, codes_.scale(id), &dots, values.data());
                           uint8_t* const out = projected_.data() + i * stride();
                           const float scale = kernels.quantize_row(values.data(), projection_.dimension(), out);
                           std::memcpy(out + projection_.dimension(), &scale, sizeof(scale));
                         }
                       });
  }

  void Read(LocalId id, float* out) const {
    if (projection_.is_identity()) {
      return codes_.Read(id, out);
    }
    const uint8_t* const row = projected_.data() + id * stride();
    float scale;
    std::memcpy(&scale, row + projection_.dimension(), sizeof(scale));
    codes_.space().kernels().dequantize_row(row, scale, projection_.dimension(), out);
  }

 private:
  size_t stride() const { return projection_.dimension() + sizeof(float); }

  const RowCodes& codes_;
  const CodeProjection& projection_;
  std::vector<uint8_t> projected_;
};

// Writes blocks. Copied for each thread.
class BlockWriter {
 public:
  BlockWriter(const RowCodes& codes, const CodeRows& code_rows, const SealedLayout& layout)
      : codes_(codes),
        code_rows_(code_rows),
        layout_(layout),
        centre_(layout.shape.code_lines * kernels::kLineDimensions),
        row_(centre_.size()),
        bits_(centre_.size() / 8) {}

  // block: zeros. ids: [32].
  void Write(LocalId id, const LocalId* ids, uint8_t* block) {
    code_rows_.Read(id, centre_.data());
    probe_.AimSquared(codes_, id);
    std::array<float, FinalLinks::kDegree> squared;
    std::array<int32_t, FinalLinks::kDegree> dots;
    KeysOf(codes_, probe_.probe(), ids, FinalLinks::kDegree, dots.data(), squared.data());
    std::memcpy(block + layout_.shape.row_offset, codes_.row(id), codes_.dimension());
    Encode(ids, squared.data(), codes_.scale(id), codes_.term(id), codes_.term(id) - codes_.squared_norm(id), block);
  }

  // A block whose node is the centre of the space.
  void WriteEntry(const LocalId* ids, uint8_t* block) {
    std::fill(centre_.begin(), centre_.end(), 0.0f);
    std::array<float, FinalLinks::kDegree> squared;
    for (size_t i = 0; i < squared.size(); ++i) {
      squared[i] = codes_.squared_norm(ids[i]);
    }
    Encode(ids, squared.data(), 0.0f, 0.0f, 0.0f, block);
  }

 private:
  // With o = neighbour - node, s its signs and k = |o|^2 / sum |o_i| (all in the codes' dimensions), <q - node, o> is
  // about k <s, q - node>; hence key(neighbour) = key(node) + fa + fr <s, q> with fr = -2 k and
  // fa = |o|^2 + 2 k <s, node>, corrected where a row's term is not its squared norm. What a projection leaves out of o
  // adds to |o|^2 only.
  void Encode(const LocalId* ids, const float* squared, float scale, float term, float node_extra, uint8_t* block) {
    std::array<float, FinalLinks::kDegree> a;
    std::array<float, FinalLinks::kDegree> r;
    for (size_t i = 0; i < FinalLinks::kDegree; ++i) {
      code_rows_.Read(ids[i], row_.data());
      const kernels::SignSums sums =
          codes_.space().kernels().encode_signs(row_.data(), centre_.data(), centre_.size(), bits_.data());
      const float k = sums.absolute > 0 ? sums.squared_norm / sums.absolute : 0.0f;
      const float extra = codes_.term(ids[i]) - codes_.squared_norm(ids[i]);
      a[i] = std::max(0.0f, squared[i]) + 2 * k * sums.centre + extra - node_extra;
      r[i] = -2 * k;
      PutCode(i, block);
    }
    kernels::BlockHeader header{scale, term, 0, 0, 0, 0};
    uint8_t* const factors = block + layout_.shape.factors_offset;
    PutFactors(a, factors, &header.a_base, &header.a_step);
    PutFactors(r, factors + FinalLinks::kDegree, &header.r_base, &header.r_step);
    std::memcpy(block + layout_.shape.header_offset, &header, sizeof(header));
    std::memcpy(block + layout_.shape.ids_offset, ids, FinalLinks::kDegree * sizeof(LocalId));
  }

  void PutCode(size_t neighbor, uint8_t* block) const {
    uint8_t* const column = block + (neighbor % 16) * 4;
    const int shift = neighbor < 16 ? 0 : 4;
    for (size_t line = 0; line < layout_.shape.code_lines; ++line) {
      for (size_t group = 0; group < 4; ++group) {
        const int code = (bits_[line * 2 + group / 2] >> (group % 2 * 4)) & 15;
        uint8_t& byte = column[line * kernels::kLineBytes + group];
        byte = static_cast<uint8_t>(byte | (code << shift));
      }
    }
  }

  static void PutFactors(const std::array<float, FinalLinks::kDegree>& values, uint8_t* out, float* base, float* step) {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    *base = *low;
    *step = (*high - *low) / 255.0f;
    for (size_t i = 0; i < values.size(); ++i) {
      out[i] = *step > 0 ? static_cast<uint8_t>(std::lround((values[i] - *base) / *step)) : 0;
    }
  }

  const RowCodes& codes_;
  const CodeRows& code_rows_;
  const SealedLayout& layout_;
  RowProbe probe_;
  std::vector<float> centre_;
  std::vector<float> row_;
  std::vector<uint8_t> bits_;
};

std::vector<LocalId> LinkedRows(const FinalLinks& links) {
  std::vector<LocalId> rows;
  for (LocalId id = 0; id < links.rows; ++id) {
    if (links.at(id)[0] != id) {
      rows.push_back(id);
    }
  }
  return rows;
}

}  // namespace

Result<std::unique_ptr<SealedGraph>> SealedGraph::Build(const ActiveGraph& graph, const SealOptions& options) {
  LB_ASSIGN(const FinalLinks links, FinishLinks(graph, options));
  const RowCodes& codes = graph.codes();
  LB_ASSIGN(CodeProjection projection, CodeProjection::Learn(codes, LinkedRows(links), options));
  const size_t entry_points = links.entries == nullptr ? 0 : links.entries->ids.size();
  const SealedLayout layout = SealedLayout::Of(links.rows, codes.dimension(), projection.dimension(), entry_points);
  const std::shared_ptr<const VectorRows>& rows = graph.shared_rows();
  std::unique_ptr<SealedGraph> sealed(new SealedGraph(rows, codes.shared_space(), std::move(projection), layout));
  sealed->links_moved_ = links.links_moved;
  LB_ASSIGN(ReservedMemory block_memory,
            ReservedMemory::Create(layout.block_stride * std::max<size_t>(1, links.rows), "graph", options.place));
  LB_ASSIGN(ReservedMemory residual_memory, ReservedMemory::Create(codes.dimension() * std::max<size_t>(1, links.rows),
                                                                   "second level of codes", options.place));

  const ParallelOptions parallel{options.threads, kPieceRows, options.cancellation};
  CodeRows code_rows(codes, sealed->projection_);
  LB_TRY(code_rows.Project(links.rows, parallel));
  const BlockWriter writer(codes, code_rows, sealed->layout_);
  uint8_t* const blocks = block_memory.As<uint8_t>();
  uint8_t* const residuals = residual_memory.As<uint8_t>();
  LB_TRY(
      ParallelFor(links.rows, parallel,
                  [&, own = writer, values = std::vector<float>(codes.dimension())](size_t begin, size_t end) mutable {
                    for (size_t i = begin; i < end; ++i) {
                      const auto id = static_cast<LocalId>(i);
                      if (!graph.links().IsLinked(id)) {
                        continue;
                      }
                      own.Write(id, links.at(id), blocks + i * layout.block_stride);
                      codes.space().ToSpace(graph.rows(), id, values.data());
                      codes.space().kernels().quantize_residual(values.data(), codes.row(id), codes.scale(id),
                                                                codes.dimension(), residuals + i * codes.dimension());
                    }
                  }));

  sealed->blocks_ = ShareMemory(std::move(block_memory), layout.rows * layout.block_stride);
  sealed->residuals_ = ShareMemory(std::move(residual_memory), layout.rows * codes.dimension());

  std::string entry_blocks(layout.entry_block_count * layout.block_stride, '\0');
  BlockWriter entry_writer = writer;
  for (size_t i = 0; i < layout.entry_block_count; ++i) {
    std::array<LocalId, FinalLinks::kDegree> ids;
    for (size_t j = 0; j < ids.size(); ++j) {
      ids[j] = links.entries->ids[std::min(i * ids.size() + j, entry_points - 1)];
    }
    entry_writer.WriteEntry(ids.data(), reinterpret_cast<uint8_t*>(entry_blocks.data()) + i * layout.block_stride);
  }
  sealed->entry_blocks_ = Slice::Own(std::move(entry_blocks));
  return sealed;
}

size_t SealedGraph::size_bytes() const {
  return layout_.rows * (layout_.block_stride + layout_.shape.dimension) + entry_blocks_.size() +
         projection_.matrix().size();
}

}  // namespace longbow::index
