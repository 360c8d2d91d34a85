// Data derived from a segment file, laid out to be used where it is mapped: docs/formats/mapped.md.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/slice.h"
#include "base/status.h"
#include "storage/segment_file.h"

namespace longbow::storage {

enum class MappedKind : uint32_t { kVectors = 1, kColumns = 2, kOrdinals = 3 };

enum class MappedSection : uint32_t {
  kRows = 1,          // vectors: [rows, row bytes]
  kInverseNorms = 2,  // vectors compared by cosine: float64 [rows]
  kColumns = 3,       // columns: an Arrow IPC stream
  kOrdinals = 4,      // ordinals: uint32 [rows], ascending, from the segment's first
};

// What a file is of; the reader says what it expects, so that files of other folders are not taken for ours.
struct MappedContent {
  MappedKind kind{};
  uint64_t rows = 0;
  std::array<uint32_t, 3> shape{};  // vectors: element type, elements of a row, metric; else zeros

  bool operator==(const MappedContent&) const = default;
};

// Where sections stand and what their bytes must add up to.
struct MappedLayout {
  struct Section {
    MappedSection section{};
    uint64_t offset = 0;
    uint64_t size_bytes = 0;
    std::vector<uint32_t> checksums;  // of each group of kMappedGroupBytes, the last one shorter
  };
  std::vector<Section> sections;
};
inline constexpr size_t kMappedGroupBytes = size_t{1} << 20;

// Writes one new file, section after section. One thread.
class MappedFileWriter {
 public:
  // The file must not exist; names are never used twice.
  static Result<std::unique_ptr<MappedFileWriter>> Create(FileSystem& fs, const std::string& path,
                                                          const MappedContent& content);

  Status BeginSection(MappedSection section);
  // Adds to the section begun last.
  Status Append(const void* data, size_t size_bytes);
  // Durable on return, the name too. The digest stands for every byte: its checksum is that of the header, which holds
  // that of the footer, which holds those of all groups.
  Result<FileDigest> Finish();

 private:
  MappedFileWriter(FileSystem& fs, std::unique_ptr<File> file, const MappedContent& content)
      : fs_(fs), file_(std::move(file)), content_(content) {}
  Status Flush();

  FileSystem& fs_;
  const std::unique_ptr<File> file_;
  const MappedContent content_;
  MappedLayout layout_;
  std::vector<uint8_t> pending_;  // bytes of the section's last group, not yet in the file
  uint64_t end_ = kMapAlignment;  // of what is in the file, pending bytes left out
};

// A file whose header and footer were checked; the sections are not until somebody verifies them. A value: no open
// file is kept. Thread safe.
class MappedFile {
 public:
  // DATA_LOSS, with path and offset, if it is cut short, damaged, another file than the digest says or of other
  // content; FAILED_PRECONDITION if a newer program wrote it.
  static Result<MappedFile> Open(FileSystem& fs, const std::string& path, const FileDigest& digest,
                                 const MappedContent& content);

  const std::string& path() const { return path_; }
  // 0 if there is no such section.
  uint64_t SizeOf(MappedSection section) const;
  // DATA_LOSS if there is none, or not of that size.
  Status CheckSize(MappedSection section, uint64_t size_bytes) const;
  // Mapped, or a copy where it is small.
  Result<Slice> Map(MappedSection section) const;
  // The same over memory of the caller's: see File::MapOver.
  Status MapOver(MappedSection section, void* address) const;
  // Checks bytes of a section that were mapped. DATA_LOSS with the offset of the first damaged group.
  Status CheckMapped(MappedSection section, const Slice& bytes) const;

  // Part [offset, offset + size) of a section's bytes is damaged or cannot be read.
  struct Damage {
    MappedSection section{};
    uint64_t offset = 0;
    uint64_t size_bytes = 0;
  };
  // Reads every byte of the sections from the file; which groups are not what was written. `keep_on` is asked before
  // each group; after its first false CANCELLED is returned.
  Result<std::vector<Damage>> Verify(const std::function<bool()>& keep_on) const;

 private:
  MappedFile(FileSystem& fs, std::string path) : fs_(&fs), path_(std::move(path)) {}
  const MappedLayout::Section* Find(MappedSection section) const;
  Status ReadInto(File& file, const MappedLayout::Section& section, void* out) const;
  Status Damaged(const std::string& what, uint64_t offset) const;

  FileSystem* fs_;
  std::string path_;
  MappedLayout layout_;
};

}  // namespace longbow::storage
