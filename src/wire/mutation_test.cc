// Bytes from strangers: tens of thousands of damaged streams must end in rows or in an error, never in a crash. The
// sanitizer builds are where this test counts most.
#include <gtest/gtest.h>

#include "wire/flight_data.h"
#include "wire/sample_stream.h"

namespace longbow::wire {
namespace {

class Random {
 public:
  size_t Below(size_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<size_t>(state_ % bound);
  }

 private:
  uint64_t state_ = 88172645463325252u;
};

void Mutate(std::string* bytes, Random& random) {
  static const uint64_t kOdd[] = {0,
                                  1,
                                  0x7f,
                                  0x80,
                                  0xff,
                                  0x7fff,
                                  0xffff,
                                  0x7fffffff,
                                  0xffffffff,
                                  0x7fffffffffffffff,
                                  0xffffffffffffffff,
                                  0x8000000000000000};
  for (size_t changes = 1 + random.Below(3); changes > 0 && !bytes->empty(); --changes) {
    // Most of what decides is near the front.
    const size_t at =
        random.Below(2) == 0 ? random.Below(bytes->size()) : random.Below(std::min<size_t>(bytes->size(), 600));
    switch (random.Below(5)) {
      case 0:
        (*bytes)[at] = static_cast<char>(random.Below(256));
        break;
      case 1:
        (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << random.Below(8)));
        break;
      case 2: {
        const uint64_t value = kOdd[random.Below(std::size(kOdd))];
        const size_t width = std::min(size_t{1} << random.Below(4), bytes->size() - at);
        bytes->replace(at, width, reinterpret_cast<const char*>(&value), width);
        break;
      }
      case 3:
        bytes->resize(at);
        break;
      default:
        bytes->erase(at, 1 + random.Below(16));
    }
  }
}

struct Tally {
  size_t streams = 0, batches = 0, errors = 0;
};

void FeedAll(const std::vector<std::string>& messages, size_t piece, Tally* tally) {
  BatchDecoder decoder;
  ++tally->streams;
  for (const std::string& message : messages) {
    const auto data = ParseFlightData(Cut(message, piece));
    if (!data.ok()) {
      ++tally->errors;
      return;
    }
    const auto batch = decoder.Feed(*data);
    if (!batch.ok()) {
      ++tally->errors;
      return;
    }
    if (batch->has_value()) {
      // What a server does next: validate fully, and only then look at values.
      if ((*batch)->rows->ValidateFull().ok()) {
        ++tally->batches;
        const auto replayed = DecodeRows((*batch)->encoded);
        ASSERT_TRUE(replayed.ok()) << replayed.status().ToString();
        EXPECT_TRUE((*replayed)->Equals(*(*batch)->rows, false, arrow::EqualOptions::Defaults().nans_equal(true)));
      }
    }
  }
}

TEST(Mutation, DamagedStreamsEndInRowsOrErrors) {
  auto plain = arrow::ipc::IpcWriteOptions::Defaults();
  auto zstd = plain;
  zstd.codec = *arrow::util::Codec::Create(arrow::Compression::ZSTD);
  auto lz4 = plain;
  lz4.codec = *arrow::util::Codec::Create(arrow::Compression::LZ4_FRAME);
  auto deltas = plain;
  deltas.emit_dictionary_deltas = true;
  const std::vector<std::shared_ptr<arrow::RecordBatch>> coded = {DictionaryBatch({"a", "b"}, {0, 1, 1}),
                                                                  DictionaryBatch({"a", "b", "c"}, {2, 0})};
  const std::vector<std::vector<std::string>> originals = {
      ArrowStream({SampleBatch(9, 3, true), SampleBatch(4, 3, true)}, plain),
      ArrowStream({SampleBatch(40, 3, true)}, zstd), ArrowStream({SampleBatch(40, 3, true)}, lz4),
      ArrowStream(coded, deltas), ArrowStream({SampleBatch(2, 2, false)}, plain)};
  Random random;
  Tally tally;
  for (size_t round = 0; round < 24'000; ++round) {
    std::vector<std::string> messages = originals[round % originals.size()];
    Mutate(&messages[random.Below(messages.size())], random);
    if (random.Below(20) == 0) {
      std::swap(messages[random.Below(messages.size())], messages[random.Below(messages.size())]);
    }
    FeedAll(messages, round % 3 == 0 ? 37 : 4096, &tally);
  }
  EXPECT_EQ(tally.streams, 24'000u);
  EXPECT_GT(tally.errors, 5'000u);
  EXPECT_GT(tally.batches, 2'000u) << "mutations must leave enough alive to reach the later stages";
}

TEST(Mutation, DamagedLogEntriesEndInRowsOrErrors) {
  const std::vector<std::string> originals = {Flat(EncodeRows(SampleBatch(9, 3, true))->encoded),
                                              Flat(EncodeRows(DictionaryBatch({"a", "b"}, {0, 1}))->encoded)};
  Random random;
  size_t errors = 0;
  for (size_t round = 0; round < 4'000; ++round) {
    std::string bytes = originals[round % originals.size()];
    Mutate(&bytes, random);
    const auto rows = DecodeRows(Cut(bytes, 100));
    errors += !rows.ok();
    if (rows.ok()) {
      (*rows)->ValidateFull().ok();
    }
  }
  EXPECT_GT(errors, 500u);
}

}  // namespace
}  // namespace longbow::wire
