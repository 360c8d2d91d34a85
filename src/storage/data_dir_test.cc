#include "storage/data_dir.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"

namespace longbow::storage {
namespace {

Status OpenStatus(FileSystem& fs, const std::string& path) { return DataDir::Open(fs, path, "longbow serve").status(); }

TEST(DataDir, MakesAFolderAndTakesItAgain) {
  MemoryFileSystem fs;
  for (int life = 0; life < 3; ++life) {
    ASSERT_TRUE(OpenStatus(fs, "/a/b/data//").ok());
    fs.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
  }
  EXPECT_EQ(ReadWholeFile(fs, "/a/b/data/FORMAT").value(), "longbow-data 1\n");
}

TEST(DataDir, TheSecondHolderIsToldOfTheFirst) {
  MemoryFileSystem fs;
  FakeClock clock;
  auto first = DataDir::Open(fs, "/data", "longbow serve", clock);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(DataDir::Open(fs, "/data", "longbow fsck").status().ToString(),
            "FAILED_PRECONDITION: data folder '/data' is in use by pid " + std::to_string(::getpid()) +
                " (longbow serve, since 2023-11-14T22:13:20Z): stop that process, or name another folder");
  first.value().reset();
  EXPECT_TRUE(OpenStatus(fs, "/data").ok());
}

TEST(DataDir, AnotherProcessIsRefusedUntilTheFirstEnds) {
  std::string folder = (std::filesystem::temp_directory_path() / "longbow_data_dir_XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  auto first = DataDir::Open(RealFileSystem(), folder, "longbow serve");
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  const auto opens_elsewhere = [&] {
    const pid_t child = ::fork();
    if (child == 0) {
      ::_exit(OpenStatus(RealFileSystem(), folder).code() == StatusCode::kFailedPrecondition ? 1 : 0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  };
  EXPECT_FALSE(opens_elsewhere());
  first.value().reset();
  EXPECT_TRUE(opens_elsewhere());
  EXPECT_TRUE(RealFileSystem().RemoveTree(folder).ok());
}

TEST(DataDir, FoldersOfOthersAreLeftAlone) {
  MemoryFileSystem fs;
  ASSERT_TRUE(fs.CreateDirectories("/home/photos").ok());
  ASSERT_TRUE(WriteWholeFile(fs, "/home/letter.txt", "dear").ok());
  const Status status = OpenStatus(fs, "/home");
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("'/home'"), std::string_view::npos);
  EXPECT_EQ(fs.List("/home").value(), (std::vector<std::string>{"letter.txt", "photos"}));
  ASSERT_TRUE(fs.CreateDirectories("/mount/lost+found").ok());
  EXPECT_TRUE(OpenStatus(fs, "/mount").ok());
}

TEST(DataDir, NewerAndDamagedFormatsAreRefused) {
  MemoryFileSystem fs;
  ASSERT_TRUE(OpenStatus(fs, "/data").ok());
  const std::string note = ReadWholeFile(fs, "/data/LOCK").value();
  const auto open_with = [&](const std::string& content) {
    EXPECT_TRUE(WriteWholeFile(fs, "/data/FORMAT", content).ok());
    const StatusCode code = DataDir::Open(fs, "/data", "another").status().code();
    EXPECT_EQ(ReadWholeFile(fs, "/data/FORMAT").value(), content);
    EXPECT_EQ(ReadWholeFile(fs, "/data/LOCK").value(), note) << "a refusal changes nothing";
    return code;
  };
  EXPECT_EQ(open_with("longbow-data 2\n"), StatusCode::kFailedPrecondition);
  EXPECT_EQ(open_with("longbow-data 17\n"), StatusCode::kFailedPrecondition);
  for (const char* damaged :
       {"", "longbow-data 1", "longbow-data 0\n", "longbow-data 1\n\n", "longbow-data x\n", "x"}) {
    EXPECT_EQ(open_with(damaged), StatusCode::kDataLoss) << damaged;
  }
  const std::string good = "longbow-data 1\n";
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] ^= 0x10;
    EXPECT_EQ(open_with(bad), StatusCode::kDataLoss) << "byte " << i;
  }
}

// Whichever call the machine dies in, the next start succeeds, and a folder that was opened once is still there.
TEST(DataDir, AFirstStartThatWasCutShortIsFinished) {
  for (uint64_t point = 1; point < 15; ++point) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      MemoryFileSystem memory;
      FaultFileSystem fs(memory);
      fs.FailAllFrom(point, FaultKind::kShortWrite);
      const bool opened = OpenStatus(fs, "/a/data").ok();
      memory.Crash(seed == 0 ? MemoryFileSystem::Unsynced::kForgotten : MemoryFileSystem::Unsynced::kTorn, seed);
      ASSERT_TRUE(!opened || memory.Exists("/a/data/FORMAT").value());
      const Status status = OpenStatus(memory, "/a/data");
      ASSERT_TRUE(status.ok()) << point << " " << seed << " " << status.ToString();
    }
  }
}

}  // namespace
}  // namespace longbow::storage
