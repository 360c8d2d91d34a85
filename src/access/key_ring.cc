#include "access/key_ring.h"

#include <openssl/evp.h>

#include <utility>

namespace longbow::access {
namespace {

Status Unauthenticated(std::string message) { return {StatusCode::kUnauthenticated, std::move(message)}; }

Status UnknownKey() { return Unauthenticated("the key is not valid: unknown, or revoked"); }

Status Expired() { return Unauthenticated("the key has expired: ask the operator for a new one"); }

bool StartsWithWord(std::string_view text, std::string_view word) {
  if (text.size() <= word.size() || text[word.size()] != ' ') {
    return false;
  }
  for (size_t i = 0; i < word.size(); ++i) {
    if ((text[i] | 0x20) != word[i]) {
      return false;
    }
  }
  return true;
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') {
    text.remove_prefix(1);
  }
  while (!text.empty() && text.back() == ' ') {
    text.remove_suffix(1);
  }
  return text;
}

// What stands behind the colon of base64("user:password"); empty if it is none.
std::string PasswordOf(std::string_view coded) {
  constexpr size_t kCodedMax = 4096;
  if (coded.empty() || coded.size() > kCodedMax || coded.size() % 4 != 0) {
    return {};
  }
  std::string text(coded.size() / 4 * 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(coded.data()), static_cast<int>(coded.size()));
  if (size < 0) {
    return {};
  }
  const size_t padding = coded.ends_with("==") ? 2 : coded.ends_with('=') ? 1 : 0;
  text.resize(static_cast<size_t>(size) - padding);
  const size_t colon = text.find(':');
  return colon == std::string::npos ? std::string() : text.substr(colon + 1);
}

}  // namespace

std::string KeyOfHeader(std::string_view authorization) {
  if (StartsWithWord(authorization, "bearer")) {
    return std::string(Trimmed(authorization.substr(7)));
  }
  return StartsWithWord(authorization, "basic") ? PasswordOf(Trimmed(authorization.substr(6))) : std::string();
}

// What a key has used up stays used up: its meter outlives the change of the file.
std::shared_ptr<Meter> KeyRing::MeterOfKey(const KeyRecord& key, const Keys& before) const {
  if (key.rates == Rates{} && calls_per_key_max_ == 0) {
    return nullptr;
  }
  const auto found = before.find(key.id);
  std::shared_ptr<Meter> meter = found == before.end() ? nullptr : found->second.meter;
  if (meter == nullptr) {
    meter = std::make_shared<Meter>("key " + key.id);
  }
  meter->SetRates(key.rates);
  meter->SetCallsMax(calls_per_key_max_);
  return meter;
}

std::shared_ptr<Meter> KeyRing::MeterOfNamespace(const std::string& name, const Limits& limits, Meters* meters) const {
  const auto named = limits.find(limits.contains(name) ? name : std::string(kAllNamespaces));
  if (name == kAllNamespaces || named == limits.end() || named->second.rates == Rates{}) {
    return nullptr;
  }
  std::shared_ptr<Meter>& meter = (*meters)[name];
  if (meter == nullptr) {
    meter = std::make_shared<Meter>("namespace " + name);
  }
  meter->SetRates(named->second.rates);
  return meter;
}

void KeyRing::Replace(const AccessFile& file) {
  auto limits = std::make_shared<Limits>();
  for (const NamedLimits& named : file.namespaces) {
    limits->emplace(named.name, named.limits);
  }
  auto keys = std::make_shared<Keys>();
  {
    MutexLock lock(mu_);
    for (const KeyRecord& key : file.keys) {
      keys->emplace(key.id, Entry{std::make_shared<const KeyRecord>(key), MeterOfKey(key, *keys_),
                                  MeterOfNamespace(key.name_space, *limits, &namespace_meters_)});
    }
    keys_ = std::move(keys);
    limits_ = std::move(limits);
  }
  generation_.fetch_add(1, std::memory_order_release);
}

NamespaceLimits KeyRing::LimitsOf(const std::string& name_space) const {
  std::shared_ptr<const Limits> limits;
  {
    MutexLock lock(mu_);
    limits = limits_;
  }
  if (limits->empty()) {
    return {};
  }
  auto found = limits->find(name_space);
  if (found == limits->end()) {
    found = limits->find(std::string(kAllNamespaces));
  }
  return found == limits->end() ? NamespaceLimits{} : found->second;
}

std::shared_ptr<const KeyRing::Keys> KeyRing::Pin() const {
  MutexLock lock(mu_);
  return keys_;
}

Result<Caller> KeyRing::Authenticate(std::string_view authorization) const {
  if (!asks_) {
    return Caller{};
  }
  Caller caller;
  caller.generation = generation_.load(std::memory_order_acquire);
  if (authorization.empty()) {
    return Unauthenticated("this node asks for a key: send the header 'authorization: Bearer KEY'");
  }
  const std::string text = KeyOfHeader(authorization);
  const std::optional<KeyText> parts = SplitKey(text);
  if (!parts) {
    return Unauthenticated("the header 'authorization' holds no key of this node: expected 'Bearer lb_...'");
  }
  const std::shared_ptr<const Keys> keys = Pin();
  const auto found = keys->find(std::string(parts->id));
  // An unknown id costs a hash, too: the time shall not tell which ids exist.
  static const KeyRecord kNobody;
  const bool matches = Matches(found == keys->end() ? kNobody : *found->second.record, parts->secret);
  if (found == keys->end() || !matches) {
    return UnknownKey();
  }
  caller.key = found->second.record;
  caller.key_meter = found->second.meter;
  caller.namespace_meter = found->second.namespace_meter;
  if (caller.key->ExpiredAt(clock_.WallNowNs())) {
    return Expired();
  }
  caller.grant = {caller.key->id, caller.key->right, caller.key->name_space};
  return caller;
}

Status KeyRing::StillHolds(const Caller& caller) const {
  if (caller.key == nullptr) {
    return {};
  }
  std::optional<int64_t> expires_ns = caller.key->expires_ns;
  if (generation_.load(std::memory_order_acquire) != caller.generation) {
    const std::shared_ptr<const Keys> keys = Pin();
    const auto found = keys->find(caller.key->id);
    if (found == keys->end() || found->second.record->hash != caller.key->hash ||
        found->second.record->right != caller.key->right ||
        found->second.record->name_space != caller.key->name_space) {
      return UnknownKey();
    }
    expires_ns = found->second.record->expires_ns;
  }
  return expires_ns && *expires_ns <= clock_.WallNowNs() ? Expired() : Status();
}

}  // namespace longbow::access
