#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <filesystem>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"
#include "base/random.h"

namespace longbow {
namespace {

// The same promises hold on the disk and in memory.
class FileSystems : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam()) {
      std::string folder = (std::filesystem::temp_directory_path() / "longbow_file_test_XXXXXX").string();
      ASSERT_NE(::mkdtemp(folder.data()), nullptr);
      root_ = folder;
    } else {
      root_ = "/data";
      ASSERT_TRUE(memory_.CreateDirectories(root_).ok());
    }
  }
  void TearDown() override { EXPECT_TRUE(fs().RemoveTree(root_).ok()); }

  FileSystem& fs() { return GetParam() ? RealFileSystem() : memory_; }
  std::string Path(const std::string& name) const { return root_ + "/" + name; }
  std::unique_ptr<File> Open(const std::string& name, OpenMode mode) {
    Result<std::unique_ptr<File>> file = fs().Open(Path(name), mode);
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    return std::move(file).value();
  }

  std::string root_;
  MemoryFileSystem memory_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, FileSystems, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Disk" : "Memory"; });

std::string Read(File& file, uint64_t offset, size_t size) {
  std::string out(size, '?');
  const Result<size_t> got = file.ReadAt(offset, {reinterpret_cast<uint8_t*>(out.data()), size});
  EXPECT_TRUE(got.ok());
  out.resize(got.value());
  return out;
}

TEST_P(FileSystems, MapsFilesForReadingAndOverMemory) {
  const std::string bytes = std::string(kMapAlignment, 'a') + std::string(3 * kMapAlignment, 'b') + "tail";
  ASSERT_TRUE(Open("x", OpenMode::kCreate)->WriteAt(0, {Slice::Own(bytes)}).ok());
  std::unique_ptr<File> file = Open("x", OpenMode::kRead);
  const Result<Slice> mapped = file->Map(kMapAlignment, bytes.size() - kMapAlignment);
  ASSERT_TRUE(mapped.ok()) << mapped.status().ToString();
  void* const memory = ::mmap(nullptr, 6 * kMapAlignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  std::memset(memory, 'z', 6 * kMapAlignment);
  EXPECT_TRUE(file->MapOver(memory, 0, bytes.size()).ok());
  EXPECT_EQ(file->MapOver(memory, 0, bytes.size() + 1).code(), StatusCode::kDataLoss);
  EXPECT_EQ(file->Map(0, bytes.size() + 1).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(file->Map(0, 0)->size(), 0u);
  file.reset();
  ASSERT_TRUE(fs().Remove(Path("x")).ok());
  EXPECT_EQ(mapped->view(), bytes.substr(kMapAlignment));
  auto* const text = static_cast<char*>(memory);
  EXPECT_EQ(std::string(text, bytes.size()), bytes);
  text[bytes.size()] = 'n';  // the rest of the last page can be written
  text[5 * kMapAlignment] = 'n';
  EXPECT_EQ(std::string(text, bytes.size()), bytes);
  ::munmap(memory, 6 * kMapAlignment);
}

TEST_P(FileSystems, WritesMorePiecesThanOneSystemCallTakes) {
  Random random(1);
  Slices pieces;
  std::string expected = "abc";
  for (int i = 0; i < 5'000; ++i) {
    pieces.push_back(Slice::Own(std::string(random.Below(30), static_cast<char>('a' + i % 26))));
    expected += pieces.back().view();
  }
  const std::unique_ptr<File> file = Open("pieces", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, {Slice::Own("abc"), Slice()}).ok());
  ASSERT_TRUE(file->WriteAt(3, pieces).ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(file->Size().value(), expected.size());
  EXPECT_EQ(Read(*file, 0, expected.size() + 100), expected);
  EXPECT_EQ(Read(*file, expected.size(), 10), "");
}

TEST_P(FileSystems, AllocateAddsZerosAndTruncateTakesBytesAway) {
  const std::unique_ptr<File> file = Open("space", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, {Slice::Own("head")}).ok());
  ASSERT_TRUE(file->Allocate(0, 10'000).ok());
  EXPECT_EQ(file->Size().value(), 10'000u);
  EXPECT_EQ(Read(*file, 0, 6), std::string("head\0\0", 6));
  ASSERT_TRUE(file->Allocate(0, 100).ok());
  EXPECT_EQ(file->Size().value(), 10'000u) << "Allocate never shrinks";
  ASSERT_TRUE(file->Truncate(2).ok());
  EXPECT_EQ(Read(*file, 0, 100), "he");
}

TEST_P(FileSystems, ScratchIsMemoryOfAFileWithoutAName) {
  constexpr size_t kSize = 4 * kMapAlignment;
  void* const memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* const bytes = static_cast<char*>(memory);
  std::memset(bytes, 'x', kSize);
  const Status mapped = fs().MapScratch(root_, bytes + kMapAlignment, 2 * kMapAlignment);
  if (GetParam()) {
    ASSERT_TRUE(mapped.ok()) << mapped.ToString();
    EXPECT_EQ(bytes[kMapAlignment], 0);
    EXPECT_EQ(bytes[3 * kMapAlignment - 1], 0);
    std::memset(bytes + kMapAlignment, 'y', 2 * kMapAlignment);
    EXPECT_EQ(bytes[3 * kMapAlignment - 1], 'y');
    EXPECT_TRUE(fs().List(root_).value().empty());
    EXPECT_EQ(fs().MapScratch(Path("missing"), bytes, kMapAlignment).code(), StatusCode::kNotFound);
  } else {
    EXPECT_EQ(mapped.code(), StatusCode::kUnimplemented);
    EXPECT_EQ(bytes[kMapAlignment], 'x');
  }
  EXPECT_EQ(bytes[0], 'x');
  EXPECT_EQ(bytes[kSize - 1], 'x');
  ASSERT_EQ(munmap(memory, kSize), 0);
}

TEST_P(FileSystems, OpenModesAndErrorsNameThePath) {
  const Status missing = fs().Open(Path("missing"), OpenMode::kRead).status();
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_NE(missing.message().find(Path("missing")), std::string_view::npos);
  EXPECT_NE(missing.message().find("No such file"), std::string_view::npos);
  EXPECT_EQ(fs().Open(Path("no/folder"), OpenMode::kCreate).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(fs().Remove(Path("missing")).code(), StatusCode::kNotFound);
  EXPECT_EQ(fs().List(Path("missing")).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(fs().SyncDirectory(Path("missing")).code(), StatusCode::kNotFound);
  EXPECT_EQ(fs().SyncAll(Path("missing")).code(), StatusCode::kNotFound);
  EXPECT_TRUE(fs().SyncAll(root_).ok());
  EXPECT_EQ(fs().Rename(Path("missing"), Path("b")).code(), StatusCode::kNotFound);

  ASSERT_TRUE(Open("once", OpenMode::kCreate)->WriteAt(0, {Slice::Own("1")}).ok());
  EXPECT_EQ(fs().Open(Path("once"), OpenMode::kCreate).status().code(), StatusCode::kAlreadyExists);
  EXPECT_FALSE(Open("once", OpenMode::kRead)->WriteAt(0, {Slice::Own("2")}).ok());
  EXPECT_EQ(Read(*Open("once", OpenMode::kReadWrite), 0, 9), "1");
  EXPECT_EQ(Open("once", OpenMode::kCreateOrTruncate)->Size().value(), 0u);
}

TEST_P(FileSystems, ListsRenamesAndRemoves) {
  ASSERT_TRUE(fs().CreateDirectories(Path("a/b")).ok());
  ASSERT_TRUE(fs().CreateDirectories(Path("a/b")).ok());
  Open("a/2", OpenMode::kCreate);
  Open("a/1", OpenMode::kCreate);
  EXPECT_EQ(fs().List(Path("a")).value(), (std::vector<std::string>{"1", "2", "b"}));
  ASSERT_TRUE(fs().Rename(Path("a/1"), Path("a/2")).ok());
  ASSERT_TRUE(fs().SyncDirectory(Path("a")).ok());
  EXPECT_EQ(fs().List(Path("a")).value(), (std::vector<std::string>{"2", "b"}));
  EXPECT_TRUE(fs().Exists(Path("a/2")).value());
  ASSERT_TRUE(fs().RemoveTree(Path("a")).ok());
  EXPECT_FALSE(fs().Exists(Path("a")).value());
  EXPECT_TRUE(fs().RemoveTree(Path("a")).ok()) << "nothing to remove is no error";
}

TEST_P(FileSystems, LockIsExclusiveAndNamesItsHolder) {
  Result<std::unique_ptr<File>> first = fs().Lock(Path("LOCK"), "pid 1 (first)");
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  const Status refused = fs().Lock(Path("LOCK"), "pid 2").status();
  EXPECT_EQ(refused.code(), StatusCode::kAlreadyExists);
  EXPECT_NE(refused.message().find("pid 1 (first)"), std::string_view::npos) << refused.ToString();
  EXPECT_EQ(ReadWholeFile(fs(), Path("LOCK")).value(), "pid 1 (first)");
  first->reset();
  EXPECT_TRUE(fs().Lock(Path("LOCK"), "pid 2").ok());
}

TEST_P(FileSystems, WriteWholeFileReplaces) {
  ASSERT_TRUE(WriteWholeFile(fs(), Path("f"), "one").ok());
  ASSERT_TRUE(WriteWholeFile(fs(), Path("f"), "").ok());
  EXPECT_EQ(ReadWholeFile(fs(), Path("f")).value(), "");
  ASSERT_TRUE(WriteWholeFile(fs(), Path("f"), "three").ok());
  EXPECT_EQ(ReadWholeFile(fs(), Path("f")).value(), "three");
  EXPECT_EQ(fs().List(root_).value(), (std::vector<std::string>{"f"}));
}

TEST(RealFiles, FullDiskIsResourceExhausted) {
  Result<std::unique_ptr<File>> full = RealFileSystem().Open("/dev/full", OpenMode::kReadWrite);
  ASSERT_TRUE(full.ok());
  const Status status = full.value()->WriteAt(0, {Slice::Own("x")});
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "cannot write '/dev/full': No space left on device");
}

// A write cut off by the kernel half way is continued until the reason shows.
TEST(RealFiles, ShortWriteIsContinuedAndReported) {
  std::string folder = (std::filesystem::temp_directory_path() / "longbow_file_test_XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 10'000;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  {
    const std::unique_ptr<File> file = RealFileSystem().Open(folder + "/f", OpenMode::kCreate).value();
    const Status status = file->WriteAt(0, {Slice::Own(std::string(6'000, 'a')), Slice::Own(std::string(6'000, 'b'))});
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status.ToString();
    EXPECT_EQ(file->Size().value(), 10'000u);
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(RealFileSystem().RemoveTree(folder).ok());
}

// Whatever call the machine dies in, the file is the old or the new one, whole.
TEST(WriteWholeFile, IsAtomicAtEveryCrashPoint) {
  const std::string old_content(3'000, 'o');
  const std::string new_content(5'000, 'n');
  int old_seen = 0;
  int new_seen = 0;
  for (uint64_t point = 1; point <= 6; ++point) {
    for (uint64_t seed = 0; seed < 200; ++seed) {
      MemoryFileSystem memory;
      FaultFileSystem fs(memory);
      ASSERT_TRUE(WriteWholeFile(fs, "f", old_content).ok());
      fs.FailAllFrom(point, FaultKind::kShortWrite);
      const Status status = WriteWholeFile(fs, "f", new_content);
      memory.Crash(seed == 0 ? MemoryFileSystem::Unsynced::kForgotten : MemoryFileSystem::Unsynced::kTorn, seed);
      const Result<std::string> left = ReadWholeFile(memory, "f");
      ASSERT_TRUE(left.ok()) << left.status().ToString();
      if (status.ok()) {
        ASSERT_EQ(left.value(), new_content);
      } else {
        ASSERT_TRUE(left.value() == old_content || left.value() == new_content) << point << " " << seed;
      }
      ++(left.value() == new_content ? new_seen : old_seen);
    }
  }
  EXPECT_GT(old_seen, 0);
  EXPECT_GT(new_seen, 0);
}

TEST(MemoryFileSystem, ForgetsWhatWasNotSynced) {
  MemoryFileSystem fs;
  ASSERT_TRUE(fs.CreateDirectories("/d").ok());
  ASSERT_TRUE(fs.SyncDirectory("/").ok());
  const std::unique_ptr<File> kept = fs.Open("/d/kept", OpenMode::kCreate).value();
  ASSERT_TRUE(kept->WriteAt(0, {Slice::Own("synced")}).ok());
  ASSERT_TRUE(kept->Sync().ok());
  ASSERT_TRUE(fs.SyncDirectory("/d").ok());
  ASSERT_TRUE(kept->WriteAt(0, {Slice::Own("SYNCED, not")}).ok());
  const std::unique_ptr<File> nameless = fs.Open("/d/nameless", OpenMode::kCreate).value();
  ASSERT_TRUE(nameless->Sync().ok());
  fs.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
  EXPECT_EQ(fs.List("/d").value(), (std::vector<std::string>{"kept"}));
  EXPECT_EQ(ReadWholeFile(fs, "/d/kept").value(), "synced");
}

TEST(MemoryFileSystem, TearsWritesAtSectors) {
  bool torn = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    MemoryFileSystem fs;
    const std::unique_ptr<File> file = fs.Open("f", OpenMode::kCreate).value();
    ASSERT_TRUE(file->WriteAt(0, {Slice::Own(std::string(4'096, 'o'))}).ok());
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(fs.SyncDirectory(".").ok());
    ASSERT_TRUE(file->WriteAt(100, {Slice::Own(std::string(3'000, 'n'))}).ok());
    fs.Crash(MemoryFileSystem::Unsynced::kTorn, seed);
    const std::string left = ReadWholeFile(fs, "f").value();
    ASSERT_EQ(left.size(), 4'096u);
    for (size_t i = 1; i < left.size(); ++i) {
      const bool boundary = i % 512 == 0 || i == 100 || i == 3'100;
      ASSERT_TRUE(boundary || left[i] == left[i - 1]) << "torn inside a sector at " << i;
    }
    torn |= left.substr(512, 2'048).find('o') != std::string::npos && left.find('n') != std::string::npos;
  }
  EXPECT_TRUE(torn);
}

TEST(FaultFileSystem, FailsTheNthCallOnce) {
  MemoryFileSystem memory;
  FaultFileSystem fs(memory);
  const std::unique_ptr<File> file = fs.Open("f", OpenMode::kCreate).value();
  fs.FailCall(FileCall::kWrite, 2, FaultKind::kShortWrite);
  fs.FailCall(FileCall::kSync, 1, FaultKind::kNoSpace);
  EXPECT_TRUE(file->WriteAt(0, {Slice::Own("abcd")}).ok());
  EXPECT_EQ(file->WriteAt(0, {Slice::Own("WX"), Slice::Own("YZ")}).code(), StatusCode::kUnavailable);
  EXPECT_EQ(Read(*file, 0, 9), "WXcd");
  EXPECT_TRUE(file->WriteAt(0, {Slice::Own("abcd")}).ok());
  EXPECT_EQ(file->Sync().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(fs.Count(FileCall::kWrite), 3u);
  EXPECT_EQ(fs.Count(FileCall::kSync), 2u);
  ASSERT_TRUE(fs.FlipBit("f", 1, 0).ok());
  EXPECT_EQ(Read(*file, 0, 9), "accd");
}

}  // namespace
}  // namespace longbow
