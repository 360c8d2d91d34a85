// The sealed graph of a segment as a file that is searched where it is mapped: docs/formats/graph.md.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "engine/segment_files.h"
#include "engine/segment_graph.h"
#include "storage/manifest.h"

namespace longbow::engine {

// Writes it, durably. The digest's checksum is the one that the image's header has of itself. `keep_on` is asked every
// few megabytes; after its first false CANCELLED is returned and the file stays as it is.
Result<storage::NamedFile> WriteGraph(const DataFolder& folder, const std::string& file,
                                      const SegmentGraph::Sealed& graph, const std::function<bool()>& keep_on);

// Maps it and reads every byte once, so that no damage leads a walk out of it. DATA_LOSS if it is damaged or of other
// rows, FAILED_PRECONDITION if a newer program wrote it: then it is to be built again.
Result<SegmentGraph::Sealed> OpenGraph(const DataFolder& folder, const storage::NamedFile& file,
                                       std::shared_ptr<const index::VectorRows> rows);

}  // namespace longbow::engine
