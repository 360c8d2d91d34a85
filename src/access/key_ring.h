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
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"

namespace longbow::access {

// Who a call comes from. Copied into the call.
struct Caller {
  Grant grant;
  std::shared_ptr<const KeyRecord> key;  // null: no key was asked for
  uint64_t generation = 0;               // of the ring when it last looked
};

// Thread safe.
class KeyRing {
 public:
  // A ring without a file asks for no key: every caller may do everything.
  KeyRing(Clock& clock, bool asks) : clock_(clock), asks_(asks) {}

  bool asks() const { return asks_; }
  void Replace(const AccessFile& file);

  // Of the header `authorization`: "Bearer KEY", or "Basic" with the key as the password, which is how Flight clients
  // log in. UNAUTHENTICATED without one, and for keys that are unknown, wrong, revoked (all in the same words, so that
  // nobody learns which ids exist) or expired (which only the owner of the secret is told).
  Result<Caller> Authenticate(std::string_view authorization) const;
  // Whether the caller's key still holds: it may have been revoked or have expired since. Quick: no hash.
  Status StillHolds(const Caller& caller) const;

 private:
  using Keys = std::unordered_map<std::string, std::shared_ptr<const KeyRecord>>;
  std::shared_ptr<const Keys> Pin() const;

  Clock& clock_;
  const bool asks_;
  std::atomic<uint64_t> generation_{0};
  mutable Mutex mu_;
  std::shared_ptr<const Keys> keys_ GUARDED_BY(mu_) = std::make_shared<Keys>();
};

// The key in an `authorization` header; empty if there is none.
std::string KeyOfHeader(std::string_view authorization);

}  // namespace longbow::access
