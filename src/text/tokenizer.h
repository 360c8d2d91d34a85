// Text to terms.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longbow::text {

struct TokenizerOptions {
  // Of Snowball, such as "english" or "german"; empty: words stay as they are.
  std::string stemmer;

  bool operator==(const TokenizerOptions&) const = default;
};

// The terms of a text: runs of letters, digits and marks, folded (NFKC, no case), and stemmed if asked. Scripts that
// write no spaces (Chinese, Japanese, Thai, ...) are divided by ICU's dictionaries. Words longer than kTermMaxBytes are
// left out: nobody types them. Bytes that are no UTF-8 end a word. Word boundaries otherwise as Lucene's and tantivy's
// simple tokenizers have them.
// Not thread safe: the stemmer and the break iterator have state; a copy for each thread (Clone) is cheap beside text.
class Tokenizer {
 public:
  static constexpr size_t kTermMaxBytes = 128;

  // INVALID_ARGUMENT for a stemmer that does not exist, with those that do.
  static Result<std::unique_ptr<Tokenizer>> Create(const TokenizerOptions& options);
  virtual ~Tokenizer() = default;

  // Calls of Next give the terms in order; the views live until the next call.
  virtual void Begin(std::string_view text) = 0;
  virtual bool Next(std::string_view* term) = 0;

  // Terms of `text` in order, repeated as there.
  std::vector<std::string> Terms(std::string_view text);
};

}  // namespace longbow::text
