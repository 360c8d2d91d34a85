// The log's promise against an oracle: what was acknowledged comes back, in order, whatever died when, and nothing
// else.
#include <gtest/gtest.h>

#include <future>
#include <map>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"
#include "base/mutex.h"
#include "base/random.h"
#include "storage/log.h"

namespace longbow::storage {
namespace {

enum class Death {
  kKilled,       // the process ends; the machine keeps what was written
  kFsyncFailed,  // the same, and the kernel has given up on the pages of a failed fsync
  kPowerCut,     // everything unsynced is lost
  kTorn,         // any sectors of it are lost
};

std::string BodyOf(uint64_t number) {
  Random random(number);
  // Mostly small, some larger than a file.
  const size_t size = random.Below(20) == 0 ? random.Below(6'000) : random.Below(300);
  std::string body(size, '\0');
  for (char& byte : body) {
    byte = static_cast<char>(random.Next());
  }
  return body;
}

// One log over many lives, and what must be in it.
class Story {
 public:
  explicit Story(uint64_t seed) : random_(seed), fs_(memory_) {
    EXPECT_TRUE(memory_.CreateDirectories("/data").ok() && memory_.SyncDirectory("/").ok());
  }

  // Opens, appends, and dies at the `point`-th change of the disk, or after the appends. With `recovers` the disk comes
  // back now and then before the end.
  void Live(uint64_t point, FaultKind kind, Death death, SyncPolicy sync, bool recovers = false) {
    sync_ = sync;
    fs_.FailAllFrom(point, kind);
    Result<std::unique_ptr<Log>> log = Open();
    if (log.ok()) {
      Work(**log);
      if (recovers && !log.value()->health().ok()) {
        fs_.Heal();
        Recover(**log);
        Work(**log);
      }
      log.value().reset();
    } else {
      const StatusCode code = log.status().code();
      ASSERT_TRUE(code == StatusCode::kUnavailable || code == StatusCode::kResourceExhausted)
          << log.status().ToString();
    }
    Die(death);
  }

  // A life without faults, which must find everything.
  void CheckAtTheEnd() {
    fs_.Heal();
    const Result<std::unique_ptr<Log>> log = Open();
    ASSERT_TRUE(log.ok()) << log.status().ToString();
  }

  size_t acknowledged() {
    MutexLock lock(mu_);
    return known_.size();
  }
  size_t recoveries() const { return recoveries_; }

 private:
  Result<std::unique_ptr<Log>> Open() {
    std::map<uint64_t, uint64_t> replayed;
    Result<std::unique_ptr<Log>> log = Log::Open(fs_, "/data/log",
                                                 {.file_size_bytes = 4'096,
                                                  .group_size_max_bytes = 2'048,
                                                  .sync = sync_,
                                                  .bulk_record_bytes = random_.Below(2) == 0 ? 100u : 1u << 20,
                                                  .bulk_sync_bytes = 1'000,
                                                  .bulk_wait = std::chrono::microseconds(100),
                                                  .sync_interval = std::chrono::milliseconds(1),
                                                  .seed = random_.Next()},
                                                 {checkpoint_}, [&](const LogRecord& record) {
                                                   EXPECT_EQ(record.lsn.value, checkpoint_ + replayed.size() + 1);
                                                   EXPECT_EQ(record.body.front().view(), BodyOf(record.index.value));
                                                   replayed[record.lsn.value] = record.index.value;
                                                   return Status();
                                                 });
    if (log.ok()) {
      MutexLock lock(mu_);
      if (power_was_cut_) {
        // What was acknowledged and not synced may be gone, from some record on.
        const uint64_t last = std::max({checkpoint_, synced_, replayed.empty() ? 0 : replayed.rbegin()->first});
        known_.erase(known_.upper_bound(last), known_.end());
        power_was_cut_ = false;
      }
      for (const auto& [lsn, number] : known_) {
        const auto found = replayed.find(lsn);
        EXPECT_TRUE(lsn <= checkpoint_ || (found != replayed.end() && found->second == number))
            << "record " << lsn << " was acknowledged and is " << (found == replayed.end() ? "gone" : "another");
      }
      for (const auto& [lsn, number] : replayed) {
        const auto hoped = offered_.find(number);
        EXPECT_TRUE(hoped != offered_.end() && hoped->second == lsn) << "record " << lsn << " is a phantom";
        known_[lsn] = number;  // it was seen: from now on it has to stay
      }
      synced_ = log.value()->last_lsn().value;
    }
    return log;
  }

  void Work(Log& log) {
    const uint64_t count = random_.Below(40);
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t number = ++last_number_;
      std::promise<void> done;
      {
        MutexLock lock(mu_);
        offered_[number] = log.last_lsn().value + 1;
      }
      log.Append({.index = {number}, .body = {Slice::Own(BodyOf(number))}}, [&, number](Lsn lsn, const Status& status) {
        {
          MutexLock lock(mu_);
          if (status.ok()) {
            EXPECT_EQ(offered_[number], lsn.value);
            Acknowledge(lsn, number);
          }
        }
        done.set_value();
      });
      done.get_future().wait();
      if (random_.Below(15) == 0) {
        Checkpoint(log);
      }
    }
    // And a burst, so that groups have more than one record.
    for (uint64_t i = random_.Below(10); i > 0; --i) {
      const uint64_t number = ++last_number_;
      {
        MutexLock lock(mu_);
        offered_[number] = log.last_lsn().value + 1;
      }
      log.Append({.index = {number}, .body = {Slice::Own(BodyOf(number))}},
                 [this, number](Lsn lsn, const Status& status) {
                   MutexLock lock(mu_);
                   if (status.ok()) {
                     Acknowledge(lsn, number);
                   }
                 });
    }
  }

  void Acknowledge(Lsn lsn, uint64_t number) REQUIRES(mu_) {
    known_[lsn.value] = number;
    if (sync_ == SyncPolicy::kFsync) {
      synced_ = lsn.value;
    }
  }

  // Back on its feet without a restart: what was refused is gone for good, what was acknowledged is on the disk.
  void Recover(Log& log) {
    const Status recovered = log.Recover();
    ASSERT_TRUE(recovered.ok()) << recovered.ToString();
    ASSERT_TRUE(log.health().ok());
    ++recoveries_;
    MutexLock lock(mu_);
    const uint64_t last = known_.empty() ? checkpoint_ : std::max(checkpoint_, known_.rbegin()->first);
    EXPECT_EQ(log.last_lsn().value, last);
    synced_ = last;
    std::erase_if(offered_, [&](const auto& offer) {
      const auto known = known_.find(offer.second);
      return known == known_.end() || known->second != offer.first;
    });
  }

  void Checkpoint(Log& log) {
    if (!log.Sync().ok()) {
      return;
    }
    MutexLock lock(mu_);
    if (!known_.empty()) {
      synced_ = std::max(synced_, known_.rbegin()->first);  // all before it was acknowledged before Sync
    }
    if (!known_.empty()) {
      checkpoint_ =
          std::max(checkpoint_, known_.rbegin()->first - random_.Below(known_.rbegin()->first - checkpoint_ + 1));
      (void)log.Cut({checkpoint_});  // fails where the disk is dead, and need not succeed
    }
  }

  void Die(Death death) {
    power_was_cut_ |= sync_ != SyncPolicy::kFsync && (death == Death::kPowerCut || death == Death::kTorn);
    if (death == Death::kFsyncFailed) {
      memory_.ForgetDirtyPages();
    } else if (death == Death::kPowerCut) {
      memory_.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
    } else if (death == Death::kTorn) {
      memory_.Crash(MemoryFileSystem::Unsynced::kTorn, random_.Next());
    }
    fs_.Heal();
  }

  Random random_;
  MemoryFileSystem memory_;
  FaultFileSystem fs_;
  SyncPolicy sync_ = SyncPolicy::kFsync;
  bool power_was_cut_ = false;
  size_t recoveries_ = 0;
  uint64_t checkpoint_ = 0;
  uint64_t last_number_ = 0;
  Mutex mu_;
  uint64_t synced_ GUARDED_BY(mu_) = 0;                   // records up to here survive a power cut
  std::map<uint64_t, uint64_t> known_ GUARDED_BY(mu_);    // LSN -> number: acknowledged, or seen at an Open
  std::map<uint64_t, uint64_t> offered_ GUARDED_BY(mu_);  // number -> the LSN it got, if it got one
};

constexpr Death kDeaths[] = {Death::kKilled, Death::kFsyncFailed, Death::kPowerCut, Death::kTorn};
constexpr SyncPolicy kPolicies[] = {SyncPolicy::kFsync, SyncPolicy::kInterval, SyncPolicy::kNone};

TEST(LogCrash, EveryPointOfTheFirstLives) {
  size_t acknowledged = 0;
  for (const SyncPolicy sync : kPolicies) {
    for (const Death death : kDeaths) {
      for (uint64_t point = 1; point <= 120; ++point) {
        SCOPED_TRACE(testing::Message() << "policy " << static_cast<int>(sync) << " death " << static_cast<int>(death)
                                        << " point " << point);
        Story story(point);
        for (const FaultKind kind : {FaultKind::kIoError, FaultKind::kShortWrite, FaultKind::kNoSpace}) {
          story.Live(point, kind, death, sync);
        }
        story.CheckAtTheEnd();
        acknowledged += story.acknowledged();
        ASSERT_FALSE(HasFailure());
      }
    }
  }
  EXPECT_GT(acknowledged, 3'000u) << "the test has to test something";
}

// The disk fails at every point and comes back; the log recovers without a restart, works on, and dies later.
TEST(LogCrash, RecoversFromAFailureAtEveryPoint) {
  size_t recoveries = 0;
  for (const SyncPolicy sync : kPolicies) {
    for (uint64_t point = 1; point <= 120; ++point) {
      for (const FaultKind kind : {FaultKind::kIoError, FaultKind::kShortWrite, FaultKind::kNoSpace}) {
        SCOPED_TRACE(testing::Message() << "policy " << static_cast<int>(sync) << " point " << point << " fault "
                                        << static_cast<int>(kind));
        Story story(point);
        for (const Death death : kDeaths) {
          story.Live(point, kind, death, sync, true);
        }
        story.CheckAtTheEnd();
        recoveries += story.recoveries();
        ASSERT_FALSE(HasFailure());
      }
    }
  }
  EXPECT_GT(recoveries, 1'000u);
}

TEST(LogCrash, RandomLives) {
  size_t acknowledged = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Story story(seed);
    Random random(seed + 1'000'000);
    for (int life = 0; life < 6; ++life) {
      story.Live(1 + random.Below(200), static_cast<FaultKind>(random.Below(3)), kDeaths[random.Below(4)],
                 kPolicies[random.Below(3)], random.Below(2) == 0);
    }
    story.CheckAtTheEnd();
    acknowledged += story.acknowledged();
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(acknowledged, 10'000u);
}

}  // namespace
}  // namespace longbow::storage
