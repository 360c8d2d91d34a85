// Names of file contents in a snapshot: equal names are taken to be equal bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace longbow::storage {

// XXH3 of the xxHash family, its form of 128 bits, over bytes that come piece by piece. Against accidents, not against
// somebody who makes up bytes on purpose. For one thread.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();

  void Update(std::span<const uint8_t> bytes);
  // 32 hexadecimal digits, small letters.
  std::string Finish() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace longbow::storage
