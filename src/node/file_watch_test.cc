#include "node/file_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "base/memory_file_system.h"

namespace longbow::node {
namespace {

TEST(FileWatch, TellsOfChangesAndKeepsWhatWasWhenTheyAreWrong) {
  MemoryFileSystem fs;
  ASSERT_TRUE(WriteWholeFile(fs, "/a", "1").ok());
  ASSERT_TRUE(WriteWholeFile(fs, "/b", "1").ok());
  Logger logger({.level = LogLevel::kError});
  std::mutex mu;
  std::string last;
  std::atomic<int> taken{0};
  FileWatch watch(fs, logger, std::chrono::milliseconds(2));
  watch.Add({"/a", "/b"}, {"1", "1"}, [&](const std::vector<std::string>& contents) -> Status {
    std::lock_guard lock(mu);
    last = contents[0] + contents[1];
    ++taken;
    return last == "xx" ? InvalidArgument("no") : Status();
  });
  watch.Start();
  const auto wait_for = [&](const std::string& what) {
    for (int i = 0; i < 5'000; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      std::lock_guard lock(mu);
      if (last == what) {
        return true;
      }
    }
    return false;
  };
  ASSERT_TRUE(WriteWholeFile(fs, "/a", "2").ok());
  EXPECT_TRUE(wait_for("21"));
  ASSERT_TRUE(fs.Remove("/b").ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_TRUE(WriteWholeFile(fs, "/b", "3").ok());
  EXPECT_TRUE(wait_for("23")) << "a file that was missing for a while";
  const int before = taken.load();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(taken.load(), before) << "nothing changed";
  watch.Stop();
}

}  // namespace
}  // namespace longbow::node
