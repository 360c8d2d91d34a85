// A bearer key: "lb_<id>_<secret>". The secret is 256 random bits, shown once when it is made; what is kept is the
// SHA-256 of salt and secret. A slow hash (Argon2, scrypt) guards passwords that people choose; a random secret of that
// length cannot be guessed however fast the hash is, and every call pays for it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "access/grant.h"
#include "base/status.h"

namespace longbow::access {

// Ceilings per second; 0: none.
struct Rates {
  double requests_per_second = 0;
  double bytes_per_second = 0;
  bool operator==(const Rates&) const = default;
};

// What is kept of a key.
struct KeyRecord {
  std::string id;  // 16 hexadecimal digits; no secret
  Right right = Right::kRead;
  std::string name_space{kAllNamespaces};
  std::array<uint8_t, 16> salt{};
  std::array<uint8_t, 32> hash{};
  int64_t created_ns = 0;
  std::optional<int64_t> expires_ns;  // wall clock; none: never
  std::string note;                   // for people
  Rates rates;

  bool ExpiredAt(int64_t now_ns) const { return expires_ns && *expires_ns <= now_ns; }
};

struct MintedKey {
  KeyRecord record;
  std::string text;  // what its owner sends; exists nowhere else
};
// A new key with random id, salt and secret; the other members of the record are the caller's. UNAVAILABLE if the
// system has no random numbers.
Result<MintedKey> MintKey();

// The two parts of a key's text; views of it. Nothing if it does not look like one of our keys.
struct KeyText {
  std::string_view id;
  std::string_view secret;
};
std::optional<KeyText> SplitKey(std::string_view text);

// Whether `secret` is that of the record; takes as long whatever the secret is.
bool Matches(const KeyRecord& record, std::string_view secret);

std::string HexOf(const uint8_t* bytes, size_t size);
// False unless `text` is exactly 2 * size hexadecimal digits.
bool BytesOf(std::string_view text, uint8_t* bytes, size_t size);

}  // namespace longbow::access
