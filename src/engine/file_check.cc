#include "engine/file_check.h"

#include <arrow/api.h>

#include <algorithm>
#include <cstring>

#include "engine/graph_file.h"
#include "storage/mapped_file.h"
#include "storage/segment_file.h"

namespace longbow::engine {
namespace {

using storage::MappedFile;
using storage::MappedSection;

bool IsOfNoConcern(const Status& status) {
  // A later checkpoint replaced the file meanwhile, or the store stops.
  return status.ok() || status.code() == StatusCode::kNotFound || status.code() == StatusCode::kCancelled;
}

}  // namespace

void FileCheck::Run(const std::vector<CheckedSegment>& segments, const std::function<bool()>& keep_on) {
  for (const CheckedSegment& checked : segments) {
    if (!keep_on()) {
      return;
    }
    OpenGraphOf(checked);
  }
  for (const CheckedSegment& checked : segments) {
    uint32_t first_row = 0;
    for (size_t part = 0; part < checked.entry.parts.size(); ++part) {
      if (checked.entry.parts[part].vectors.any() && checked.segment->searchable()) {
        CheckVectors(checked, part, first_row, keep_on);
      }
      first_row += static_cast<uint32_t>(checked.entry.parts[part].rows);
    }
  }
  for (const CheckedSegment& checked : segments) {
    for (size_t part = 0; part < checked.entry.parts.size(); ++part) {
      CheckParquet(checked, part, keep_on);
    }
  }
}

void FileCheck::Warn(const CheckedSegment& checked, const std::string& what, const std::string& reason) {
  metrics_.damages.Add();
  logger_.Warn(what, {{"dataset", checked.collection}, {"segment", checked.entry.number}, {"reason", reason}});
}

void FileCheck::OpenGraphOf(const CheckedSegment& checked) {
  if (!checked.entry.graph.any() || !checked.segment->has_graph()) {
    return;
  }
  SegmentGraph& graph = checked.segment->graph();
  Result<SegmentGraph::Sealed> sealed = OpenGraph(folder_, checked.entry.graph, checked.segment->shared_vectors());
  if (!sealed.ok()) {
    Warn(checked, "a graph is damaged: it is built again while its rows are scanned", sealed.status().ToString());
    graph.GiveUpSealed();
    reporter_.graph_lost(checked.key());
    return;
  }
  metrics_.bytes_checked.Add(static_cast<double>(checked.entry.graph.digest.size_bytes));
  const uint32_t rows = sealed->rows;
  graph.AdoptSealed(*std::move(sealed), static_cast<uint32_t>(checked.entry.rows()));
  reporter_.graph_opened(checked.key(), rows);
}

void FileCheck::CheckVectors(const CheckedSegment& checked, size_t part, uint32_t first_row,
                             const std::function<bool()>& keep_on) {
  const storage::PartEntry& entry = checked.entry.parts[part];
  const index::VectorRows& vectors = checked.segment->vectors();
  const auto file = MappedFile::Open(folder_.fs, folder_.PathOf(entry.vectors.file), entry.vectors.digest,
                                     VectorsContent(vectors, entry.rows));
  const auto damages = file.ok() ? file->Verify(keep_on) : Result<std::vector<MappedFile::Damage>>(file.status());
  if (!damages.ok()) {
    return;  // it could not be opened at the start either, or is gone: the rows in memory are of the segment file
  }
  metrics_.bytes_checked.Add(static_cast<double>(entry.vectors.digest.size_bytes));
  for (const MappedFile::Damage& damage : *damages) {
    const uint64_t row_bytes = damage.section == MappedSection::kRows ? vectors.row_bytes() : sizeof(double);
    const auto begin = static_cast<uint32_t>(damage.offset / row_bytes);
    const auto end = static_cast<uint32_t>((damage.offset + damage.size_bytes + row_bytes - 1) / row_bytes);
    const std::string rows = "rows " + std::to_string(first_row + begin) + " to " +
                             std::to_string(first_row + end - 1) + " of '" + entry.vectors.file + "'";
    const Status healed = Heal(checked, entry, first_row, begin, end);
    if (healed.ok()) {
      Warn(checked, "vectors were damaged and are read again from the segment file", rows);
    } else {
      lost_parts_.insert({checked.key(), part});
      rows_lost_ += end - begin;
      metrics_.rows_lost.Set(rows_lost_);
      metrics_.damages.Add();
      logger_.Error("vectors are lost: restore the data folder from a snapshot",
                    {{"dataset", checked.collection}, {"rows", rows}, {"reason", healed.ToString()}});
    }
  }
  if (!damages->empty() && !lost_parts_.contains({checked.key(), part})) {
    reporter_.part_damaged(checked.key(), part);
  }
}

// Writes into pages that are this process's own then. A search that reads them meanwhile sees damaged numbers or right
// ones, as it would have before.
Status FileCheck::Heal(const CheckedSegment& checked, const storage::PartEntry& part, uint32_t first_row,
                       uint32_t begin, uint32_t end) {
  uint64_t batch_row = 0;
  LB_ASSIGN(const auto batches,
            storage::ReadSegmentRows(folder_.fs, folder_.PathOf(part.parquet.file), begin, end, &batch_row));
  index::VectorRows& vectors = checked.segment->mutable_vectors();
  for (const auto& batch : batches) {
    const uint64_t batch_end = batch_row + static_cast<uint64_t>(batch->num_rows());
    const uint64_t from = std::max<uint64_t>(batch_row, begin);
    const uint64_t to = std::min<uint64_t>(batch_end, end);
    if (from < to) {
      LB_ASSIGN(const auto rows, ConformTo(*checked.schema, *batch));
      LB_TRY(CopyVectors(*checked.schema,
                         *rows->Slice(static_cast<int64_t>(from - batch_row), static_cast<int64_t>(to - from)),
                         vectors.MutableBytes(static_cast<uint32_t>(first_row + from))));
    }
    batch_row = batch_end;
  }
  vectors.FinishRows(first_row + begin, first_row + end);
  return {};
}

void FileCheck::CheckParquet(const CheckedSegment& checked, size_t part, const std::function<bool()>& keep_on) {
  const storage::PartEntry& entry = checked.entry.parts[part];
  const Status sound =
      storage::VerifySegmentFile(folder_.fs, folder_.PathOf(entry.parquet.file), entry.parquet.digest, keep_on);
  if (sound.ok()) {
    metrics_.bytes_checked.Add(static_cast<double>(entry.parquet.digest.size_bytes));
  } else if (!IsOfNoConcern(sound)) {
    Warn(checked, "a segment file is damaged: the next checkpoint writes it again from the mapped rows",
         sound.ToString());
    if (!lost_parts_.contains({checked.key(), part})) {
      reporter_.part_damaged(checked.key(), part);
    }
  }
}

}  // namespace longbow::engine
