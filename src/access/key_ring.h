// The keys in force. Replaced as a whole while calls come; those in flight ask again as they go on.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "access/access_file.h"
#include "access/grant.h"
#include "access/meter.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"

namespace longbow::access {

// Who a call comes from. Copied into the call.
struct Caller {
  Grant grant;
  std::shared_ptr<const KeyRecord> key;    // null: no key was asked for
  uint64_t generation = 0;                 // of the ring when it was asked
  std::shared_ptr<Meter> key_meter;        // null: no limits
  std::shared_ptr<Meter> namespace_meter;  // of all keys of its namespace together; likewise
};

// Thread safe.
class KeyRing {
 public:
  // A ring without a file asks for no key: every caller may do everything.
  // `calls_per_key_max`: calls that one key may have open; 0: no limit.
  KeyRing(Clock& clock, bool asks, uint64_t calls_per_key_max = 0)
      : clock_(clock), asks_(asks), calls_per_key_max_(calls_per_key_max) {}

  bool asks() const { return asks_; }
  void Replace(const AccessFile& file);

  // Those of the namespace, or else those of "*".
  NamespaceLimits LimitsOf(const std::string& name_space) const;

  // Of the header `authorization`: "Bearer KEY", or "Basic" with the key as the password, which is how Flight clients
  // log in. UNAUTHENTICATED without one, and for keys that are unknown, wrong, revoked (all in the same words, so that
  // nobody learns which ids exist) or expired (which only the owner of the secret is told).
  Result<Caller> Authenticate(std::string_view authorization) const;
  // Whether the caller's key still holds: it may have been revoked or have expired since. Quick: no hash.
  Status StillHolds(const Caller& caller) const;

 private:
  struct Entry {
    std::shared_ptr<const KeyRecord> record;
    std::shared_ptr<Meter> meter;
    std::shared_ptr<Meter> namespace_meter;
  };
  using Keys = std::unordered_map<std::string, Entry>;
  using Limits = std::unordered_map<std::string, NamespaceLimits>;
  using Meters = std::unordered_map<std::string, std::shared_ptr<Meter>>;
  std::shared_ptr<const Keys> Pin() const;
  std::shared_ptr<Meter> MeterOfKey(const KeyRecord& key, const Keys& before) const;
  std::shared_ptr<Meter> MeterOfNamespace(const std::string& name, const Limits& limits, Meters* meters) const;

  Clock& clock_;
  const bool asks_;
  const uint64_t calls_per_key_max_;
  std::atomic<uint64_t> generation_{0};
  mutable Mutex mu_;
  std::shared_ptr<const Keys> keys_ GUARDED_BY(mu_) = std::make_shared<Keys>();
  std::shared_ptr<const Limits> limits_ GUARDED_BY(mu_) = std::make_shared<Limits>();
  Meters namespace_meters_ GUARDED_BY(mu_);
};

// The key in an `authorization` header; empty if there is none.
std::string KeyOfHeader(std::string_view authorization);

}  // namespace longbow::access
