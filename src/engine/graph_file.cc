#include "engine/graph_file.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/kill_point.h"
#include "index/graph_image.h"
#include "index/lean_graph.h"
#include "index/sealed_graph.h"

namespace longbow::engine {
namespace {

constexpr size_t kWriteBytes = size_t{8} << 20;  // at a time, between two looks whether to stop

Slices ImageOf(const SegmentGraph::Sealed& graph) {
  return graph.kind == GraphKind::kLean ? static_cast<const index::LeanGraph&>(*graph.index).Image()
                                        : static_cast<const index::SealedGraph&>(*graph.index).Image();
}

Status WritePieces(File& file, const Slices& pieces, const std::function<bool()>& keep_on) {
  uint64_t offset = 0;
  for (const Slice& piece : pieces) {
    for (size_t begin = 0; begin < piece.size(); begin += kWriteBytes) {
      if (!keep_on()) {
        return Cancelled("writing a graph was interrupted");
      }
      const size_t size = std::min(kWriteBytes, piece.size() - begin);
      LB_TRY(file.WriteAt(offset, {piece.Sub(begin, size)}));
      offset += size;
    }
  }
  return {};
}

}  // namespace

Result<storage::NamedFile> WriteGraph(const DataFolder& folder, const std::string& file,
                                      const SegmentGraph::Sealed& graph, const std::function<bool()>& keep_on) {
  const Slices pieces = ImageOf(graph);
  const std::string path = folder.PathOf(file);
  LB_ASSIGN(const std::unique_ptr<File> out, folder.fs.Open(path, OpenMode::kCreate));
  LB_KILL_POINT("graph.created");
  LB_TRY(WritePieces(*out, pieces, keep_on));
  LB_KILL_POINT("graph.written");
  LB_TRY(out->Sync());
  LB_KILL_POINT("graph.synced");
  LB_TRY(folder.fs.SyncDirectory(std::filesystem::path(path).parent_path().string()));
  LB_KILL_POINT("graph.named");
  return storage::NamedFile{
      file, {.size_bytes = TotalSize(pieces), .crc32c = index::ImageChecksum(pieces.front()).value_or(0)}};
}

Result<SegmentGraph::Sealed> OpenGraph(const DataFolder& folder, const storage::NamedFile& file,
                                       std::shared_ptr<const index::VectorRows> rows) {
  LB_ASSIGN(const std::unique_ptr<File> in, folder.fs.Open(folder.PathOf(file.file), OpenMode::kRead));
  LB_ASSIGN(const uint64_t size, in->Size());
  if (size != file.digest.size_bytes) {
    return DataLoss("graph '" + file.file + "' has " + std::to_string(size) + " bytes, expected " +
                    std::to_string(file.digest.size_bytes));
  }
  LB_ASSIGN(Slice image, in->Map(0, size));
  if (index::ImageChecksum(image) != file.digest.crc32c) {
    return DataLoss("graph '" + file.file + "' is not the one that the manifest names");
  }
  SegmentGraph::Sealed graph;
  if (index::ImageKindOf(image) == index::ImageKind::kLean) {
    LB_ASSIGN(std::shared_ptr<const index::LeanGraph> lean, index::LeanGraph::Open(std::move(image), std::move(rows)));
    graph = {.index = lean,
             .kind = GraphKind::kLean,
             .step_bytes = lean->step_bytes(),
             .rows = lean->rows_end(),
             .size_bytes = lean->size_bytes(),
             .is_mapped = true};
  } else {
    LB_ASSIGN(std::shared_ptr<const index::SealedGraph> fast,
              index::SealedGraph::Open(std::move(image), std::move(rows)));
    graph = {.index = fast,
             .kind = GraphKind::kSealed,
             .step_bytes = fast->step_bytes(),
             .rows = fast->rows_end(),
             .size_bytes = fast->size_bytes(),
             .is_mapped = true};
  }
  return graph;
}

}  // namespace longbow::engine
