#include "access/key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/check.h"

namespace longbow::access {
namespace {

constexpr std::string_view kPrefix = "lb_";
constexpr size_t kIdDigits = 16;
constexpr size_t kSecretDigits = 64;

std::array<uint8_t, 32> HashOf(const std::array<uint8_t, 16>& salt, std::string_view secret) {
  std::array<uint8_t, 16 + kSecretDigits> input{};
  LB_CHECK(secret.size() == kSecretDigits);
  std::copy(salt.begin(), salt.end(), input.begin());
  std::copy(secret.begin(), secret.end(), input.begin() + salt.size());
  std::array<uint8_t, 32> hash{};
  unsigned size = 0;
  LB_CHECK(EVP_Digest(input.data(), input.size(), hash.data(), &size, EVP_sha256(), nullptr) == 1);
  OPENSSL_cleanse(input.data(), input.size());
  return hash;
}

template <size_t kSize>
Status FillRandom(std::array<uint8_t, kSize>* bytes) {
  return RAND_bytes(bytes->data(), static_cast<int>(kSize)) == 1
             ? Status()
             : Unavailable("the system gives no random numbers: no key can be made");
}

int DigitOf(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool IsHex(std::string_view text) {
  for (const char c : text) {
    if (DigitOf(c) < 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string HexOf(const uint8_t* bytes, size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size);
  for (size_t i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

bool BytesOf(std::string_view text, uint8_t* bytes, size_t size) {
  if (text.size() != 2 * size || !IsHex(text)) {
    return false;
  }
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<uint8_t>(DigitOf(text[2 * i]) << 4 | DigitOf(text[2 * i + 1]));
  }
  return true;
}

Result<MintedKey> MintKey() {
  std::array<uint8_t, kIdDigits / 2> id{};
  std::array<uint8_t, kSecretDigits / 2> secret{};
  MintedKey key;
  LB_TRY(FillRandom(&id));
  LB_TRY(FillRandom(&secret));
  LB_TRY(FillRandom(&key.record.salt));
  const std::string secret_text = HexOf(secret.data(), secret.size());
  key.record.id = HexOf(id.data(), id.size());
  key.record.hash = HashOf(key.record.salt, secret_text);
  key.text = std::string(kPrefix) + key.record.id + "_" + secret_text;
  return key;
}

std::optional<KeyText> SplitKey(std::string_view text) {
  if (text.size() != kPrefix.size() + kIdDigits + 1 + kSecretDigits || !text.starts_with(kPrefix) ||
      text[kPrefix.size() + kIdDigits] != '_') {
    return std::nullopt;
  }
  const KeyText key{text.substr(kPrefix.size(), kIdDigits), text.substr(kPrefix.size() + kIdDigits + 1)};
  return IsHex(key.id) && IsHex(key.secret) ? std::optional(key) : std::nullopt;
}

bool Matches(const KeyRecord& record, std::string_view secret) {
  if (secret.size() != kSecretDigits) {
    return false;
  }
  const std::array<uint8_t, 32> hash = HashOf(record.salt, secret);
  return CRYPTO_memcmp(hash.data(), record.hash.data(), hash.size()) == 0;
}

}  // namespace longbow::access
