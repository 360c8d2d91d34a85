#include "node/file_watch.h"

#include <utility>

namespace longbow::node {

void FileWatch::Add(std::vector<std::string> paths, std::vector<std::string> contents, Take take) {
  groups_.push_back({std::move(paths), std::move(contents), std::move(take), {}});
}

void FileWatch::Start() {
  if (!groups_.empty()) {
    thread_ = std::thread([this] { Run(); });
  }
}

void FileWatch::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void FileWatch::Run() {
  while (true) {
    {
      MutexLock lock(mu_);
      const auto until = std::chrono::steady_clock::now() + period_;
      while (!stopping_ && wake_.WaitUntil(mu_, until)) {
      }
      if (stopping_) {
        return;
      }
    }
    for (Group& group : groups_) {
      Look(group);
    }
  }
}

void FileWatch::Look(Group& group) {
  const auto read_and_take = [&]() -> Status {
    std::vector<std::string> contents;
    for (const std::string& path : group.paths) {
      LB_ASSIGN(std::string content, ReadWholeFile(fs_, path));
      contents.push_back(std::move(content));
    }
    if (contents == group.seen) {
      return {};
    }
    group.seen = contents;
    LB_TRY(group.take(contents));
    logger_.Info("files were read again", {{"first", group.paths.front()}});
    return {};
  };
  const Status status = read_and_take();
  if (std::string text = status.ToString(); !status.ok() && text != group.error) {
    logger_.Error("a file that changed cannot be used: what it said before stays in force",
                  {{"first", group.paths.front()}, {"error", text}});
    group.error = std::move(text);
  } else if (status.ok()) {
    group.error.clear();
  }
}

}  // namespace longbow::node
