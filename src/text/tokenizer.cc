#include "text/tokenizer.h"

#include <libstemmer.h>
#include <unicode/brkiter.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include <array>

namespace longbow::text {
namespace {

// What an ASCII byte is in a word: itself in lower case, or 0 where it ends one.
constexpr std::array<char, 128> kAsciiFolded = [] {
  std::array<char, 128> folded{};
  for (char c = 'a'; c <= 'z'; ++c) {
    folded[static_cast<size_t>(c)] = c;
    folded[static_cast<size_t>(c - 'a' + 'A')] = c;
  }
  for (char c = '0'; c <= '9'; ++c) {
    folded[static_cast<size_t>(c)] = c;
  }
  return folded;
}();

bool IsWordChar(UChar32 c) { return (U_GET_GC_MASK(c) & (U_GC_L_MASK | U_GC_N_MASK | U_GC_M_MASK)) != 0; }

// Scripts whose words stand without spaces between them.
bool IsUnspaced(UChar32 c) {
  UErrorCode error = U_ZERO_ERROR;
  switch (uscript_getScript(c, &error)) {
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
    case USCRIPT_THAI:
    case USCRIPT_LAO:
    case USCRIPT_KHMER:
    case USCRIPT_MYANMAR:
      return U_SUCCESS(error);
    default:
      return false;
  }
}

struct StemmerCloser {
  void operator()(sb_stemmer* stemmer) const { sb_stemmer_delete(stemmer); }
};

class WordTokenizer final : public Tokenizer {
 public:
  using Stemmer = std::unique_ptr<sb_stemmer, StemmerCloser>;

  WordTokenizer(Stemmer stemmer, const icu::Normalizer2* fold) : stemmer_(std::move(stemmer)), fold_(fold) {}

  void Begin(std::string_view text) override {
    text_ = text;
    at_ = 0;
    parts_.clear();
    next_part_ = 0;
  }

  bool Next(std::string_view* term) override {
    while (next_part_ < parts_.size()) {
      if (Finish(parts_[next_part_++], term)) {
        return true;
      }
    }
    while (at_ < text_.size()) {
      word_.clear();
      bool is_ascii = true;
      bool is_unspaced = false;
      ReadWord(&is_ascii, &is_unspaced);
      if (word_.empty()) {
        continue;
      }
      if (!is_ascii) {
        std::string folded;
        icu::StringByteSink<std::string> sink(&folded);
        UErrorCode error = U_ZERO_ERROR;
        fold_->normalizeUTF8(0, word_, sink, nullptr, error);
        if (U_SUCCESS(error)) {
          word_.swap(folded);
        }
      }
      if (is_unspaced) {
        Divide();
        return Next(term);
      }
      if (Finish(word_, term)) {
        return true;
      }
    }
    return false;
  }

 private:
  // The next run of word characters, and what separates it from the one after; nothing if a separator comes first.
  void ReadWord(bool* is_ascii, bool* is_unspaced) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(text_.data());
    const size_t size = text_.size();
    while (at_ < size) {
      if (bytes[at_] < 128) {
        const char folded = kAsciiFolded[bytes[at_]];
        ++at_;
        if (folded == 0) {
          return;
        }
        word_.push_back(folded);
        continue;
      }
      const size_t begin = at_;
      UChar32 c = 0;
      U8_NEXT(bytes, at_, size, c);
      if (c < 0 || !IsWordChar(c)) {
        return;
      }
      *is_ascii = false;
      *is_unspaced = *is_unspaced || IsUnspaced(c);
      word_.append(text_, begin, at_ - begin);
    }
  }

  void Divide() {
    parts_.clear();
    next_part_ = 0;
    UErrorCode error = U_ZERO_ERROR;
    if (breaks_ == nullptr) {
      breaks_.reset(icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), error));
    }
    UText text = UTEXT_INITIALIZER;
    utext_openUTF8(&text, word_.data(), static_cast<int64_t>(word_.size()), &error);
    if (U_SUCCESS(error)) {
      breaks_->setText(&text, error);
    }
    if (U_FAILURE(error)) {
      utext_close(&text);
      parts_.push_back(word_);  // without the dictionaries: one long word
      return;
    }
    int32_t begin = breaks_->first();
    for (int32_t end = breaks_->next(); end != icu::BreakIterator::DONE; begin = end, end = breaks_->next()) {
      parts_.push_back(word_.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
    }
    utext_close(&text);
  }

  bool Finish(const std::string& word, std::string_view* term) {
    if (word.empty() || word.size() > kTermMaxBytes) {
      return false;
    }
    *term = word;
    if (stemmer_ != nullptr) {
      const auto* stem = sb_stemmer_stem(stemmer_.get(), reinterpret_cast<const sb_symbol*>(word.data()),
                                         static_cast<int>(word.size()));
      if (stem != nullptr) {  // null: no memory, and the word is as good a term
        *term = {reinterpret_cast<const char*>(stem), static_cast<size_t>(sb_stemmer_length(stemmer_.get()))};
      }
    }
    return !term->empty();
  }

  const Stemmer stemmer_;  // null: none
  const icu::Normalizer2* const fold_;
  std::unique_ptr<icu::BreakIterator> breaks_;
  std::string_view text_;
  size_t at_ = 0;
  std::string word_;
  std::vector<std::string> parts_;  // of a run of an unspaced script
  size_t next_part_ = 0;
};

std::string KnownStemmers() {
  std::string names;
  for (const char** name = sb_stemmer_list(); *name != nullptr; ++name) {
    names += (names.empty() ? "" : ", ") + std::string(*name);
  }
  return names;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::Create(const TokenizerOptions& options) {
  WordTokenizer::Stemmer stemmer;
  if (!options.stemmer.empty()) {
    stemmer.reset(sb_stemmer_new(options.stemmer.c_str(), "UTF_8"));
    if (stemmer == nullptr) {
      return InvalidArgument("no stemmer '" + options.stemmer + "'; there are: " + KnownStemmers());
    }
  }
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* fold = icu::Normalizer2::getNFKCCasefoldInstance(error);
  if (U_FAILURE(error)) {
    return Internal(std::string("ICU's data cannot be loaded: ") + u_errorName(error));
  }
  return std::unique_ptr<Tokenizer>(std::make_unique<WordTokenizer>(std::move(stemmer), fold));
}

std::vector<std::string> Tokenizer::Terms(std::string_view text) {
  std::vector<std::string> terms;
  Begin(text);
  for (std::string_view term; Next(&term);) {
    terms.emplace_back(term);
  }
  return terms;
}

}  // namespace longbow::text
