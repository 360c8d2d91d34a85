// Notices that files of the operator's were replaced, and has them read again.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/logging.h"
#include "base/mutex.h"
#include "base/status.h"

namespace longbow::node {

// Looks at the content of the files, not at their times: it works on every file system, through symbolic links that are
// swapped (as Kubernetes does it), and for files that are written in place. The files are small and the period is a
// second, so that costs nothing. One thread.
class FileWatch {
 public:
  // Gets the contents, in the order of the paths. An error is logged and the files are offered again when they change
  // next: what was in force stays.
  using Take = std::function<Status(const std::vector<std::string>& contents)>;

  FileWatch(FileSystem& fs, Logger& logger, std::chrono::milliseconds period)
      : fs_(fs), logger_(logger), period_(period) {}
  ~FileWatch() { Stop(); }

  // Files that belong together; `contents` is what is in force now. Before Start.
  void Add(std::vector<std::string> paths, std::vector<std::string> contents, Take take);
  void Start();
  void Stop();

 private:
  struct Group {
    std::vector<std::string> paths;
    std::vector<std::string> seen;
    Take take;
    std::string error;  // of the last look, so that it is logged once
  };
  void Run();
  void Look(Group& group);

  FileSystem& fs_;
  Logger& logger_;
  const std::chrono::milliseconds period_;
  std::vector<Group> groups_;  // the thread's, from Start on
  Mutex mu_;
  CondVar wake_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace longbow::node
