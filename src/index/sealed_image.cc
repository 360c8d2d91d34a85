// A sealed graph to bytes and back.
#include <cstring>

#include "index/sealed_graph.h"

namespace longbow::index {
namespace {

// Section kLayout.
struct StoredLayout {
  uint32_t code_dimension;
  uint32_t entry_blocks;
  uint32_t links_moved;
  uint32_t zero;
};

}  // namespace

Slices SealedGraph::Image() const {
  ImageWriter image(ImageKind::kSealed, *rows_, layout_.rows);
  const StoredLayout stored{static_cast<uint32_t>(projection_.dimension()),
                            static_cast<uint32_t>(layout_.entry_block_count), links_moved_, 0};
  image.AddCopy(ImageSection::kLayout, &stored, sizeof(stored));
  space_->Save(image);
  image.AddCopy(ImageSection::kProjection, projection_.matrix().data(), projection_.matrix().size());
  image.Add(ImageSection::kEntryBlocks, entry_blocks_);
  image.Add(ImageSection::kBlocks, blocks_);
  image.Add(ImageSection::kResiduals, residuals_);
  return image.Finish();
}

Result<std::unique_ptr<SealedGraph>> SealedGraph::Open(Slice image, std::shared_ptr<const VectorRows> rows) {
  LB_ASSIGN(const ImageReader reader, ImageReader::Open(std::move(image), ImageKind::kSealed, *rows));
  LB_ASSIGN(std::shared_ptr<const CodeSpace> space, CodeSpace::Open(reader, *rows));
  StoredLayout stored;
  LB_ASSIGN(const Slice layout_bytes, reader.Section(ImageSection::kLayout, sizeof(stored)));
  std::memcpy(&stored, layout_bytes.data(), sizeof(stored));
  const size_t dimension = space->dimension();
  const size_t code_dimension = stored.code_dimension;
  if (code_dimension < kernels::kLineDimensions || code_dimension > dimension ||
      code_dimension % kernels::kLineDimensions != 0) {
    return BadGraphImage("codes of " + std::to_string(code_dimension) + " dimensions, for rows of " +
                         std::to_string(dimension));
  }
  LB_ASSIGN(const Slice matrix, reader.Section(ImageSection::kProjection));
  if (matrix.size() != (matrix.size() == 0 && code_dimension == dimension ? 0 : code_dimension * (dimension + 4))) {
    return BadGraphImage("a projection of " + std::to_string(matrix.size()) + " bytes, for " +
                         std::to_string(code_dimension) + " of " + std::to_string(dimension) + " dimensions");
  }
  CodeProjection projection = matrix.size() == 0 ? CodeProjection(dimension)
                                                 : CodeProjection(code_dimension, dimension,
                                                                  std::vector<uint8_t>(matrix.begin(), matrix.end()));
  const SealedLayout layout = SealedLayout::Of(reader.rows_end(), dimension, code_dimension,
                                               static_cast<size_t>(stored.entry_blocks) * FinalLinks::kDegree);
  const size_t stride = layout.block_stride;
  std::unique_ptr<SealedGraph> graph(new SealedGraph(std::move(rows), std::move(space), std::move(projection), layout));
  graph->links_moved_ = stored.links_moved;
  LB_ASSIGN(graph->blocks_, reader.Section(ImageSection::kBlocks, layout.rows * stride));
  LB_ASSIGN(graph->residuals_, reader.Section(ImageSection::kResiduals, layout.rows * dimension));
  LB_ASSIGN(graph->entry_blocks_, reader.Section(ImageSection::kEntryBlocks, layout.entry_block_count * stride));
  for (LocalId id = 0; id < layout.rows; ++id) {
    LB_TRY(reader.CheckIds(graph->Block(id) + layout.shape.ids_offset, FinalLinks::kDegree, "links"));
  }
  for (size_t i = 0; i < layout.entry_block_count; ++i) {
    LB_TRY(reader.CheckIds(graph->EntryBlock(i) + layout.shape.ids_offset, FinalLinks::kDegree, "entry points"));
  }
  return graph;
}

}  // namespace longbow::index
