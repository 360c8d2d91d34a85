// A sealed graph as bytes that can be written to a file and mapped again: docs/formats/graph.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/slice.h"
#include "base/status.h"
#include "index/vector_rows.h"

namespace longbow::index {

enum class ImageKind : uint32_t { kSealed = 1, kLean = 2 };

enum class ImageSection : uint32_t {
  kSpace = 1,  // float32: largest squared norm, negative or 0; centre [dimension]; signs [3, dimension]
  kLayout = 2,
  kProjection = 3,
  kBlocks = 4,
  kResiduals = 5,
  kEntryBlocks = 6,
  kNodes = 7,
  kEntryIds = 8,
  kEntryCodes = 9,
};

// Collects the sections of an image. One thread.
class ImageWriter {
 public:
  // Of `rows_end` rows that are like `rows`.
  ImageWriter(ImageKind kind, const VectorRows& rows, LocalId rows_end)
      : kind_(kind), rows_(rows), rows_end_(rows_end) {}

  // `bytes` is shared with the image.
  void Add(ImageSection section, Slice bytes) { sections_.push_back({section, std::move(bytes)}); }
  void AddCopy(ImageSection section, const void* data, size_t size_bytes) {
    Add(section, Slice::Own(std::string(static_cast<const char*>(data), size_bytes)));
  }
  // Header, checksums and sections: pieces that follow each other. Reads every byte once.
  Slices Finish() const;

 private:
  struct Section {
    ImageSection section;
    Slice bytes;
  };

  const ImageKind kind_;
  const VectorRows& rows_;
  const LocalId rows_end_;
  std::vector<Section> sections_;
};

// An image whose every byte was checked. Sections share its owner.
class ImageReader {
 public:
  // Reads all of it. DATA_LOSS, with the place, if it is cut short, damaged, of another kind of graph, or does not
  // belong to `rows`; FAILED_PRECONDITION if a newer program wrote it.
  static Result<ImageReader> Open(Slice image, ImageKind kind, const VectorRows& rows);

  LocalId rows_end() const { return rows_end_; }
  // DATA_LOSS if there is none, or not of that size.
  Result<Slice> Section(ImageSection section, size_t size_bytes) const;
  // DATA_LOSS if there is none.
  Result<Slice> Section(ImageSection section) const;
  // DATA_LOSS unless each of the `count` ids at `ids` is one of a row; the ids need not be aligned.
  Status CheckIds(const uint8_t* ids, size_t count, const char* of) const;

 private:
  struct Entry {
    ImageSection section;
    Slice bytes;
  };

  LocalId rows_end_ = 0;
  std::vector<Entry> entries_;
};

// What the first bytes of an image say before anything was checked: which kind of graph it is (that of the enum's first
// if it is none), and the checksum of its header, which stands for all bytes. None if it is too short to have one.
ImageKind ImageKindOf(const Slice& image);
std::optional<uint32_t> ImageChecksum(const Slice& image);

// That a graph does not hold together although its checksums are right.
Status BadGraphImage(const std::string& what);

}  // namespace longbow::index
