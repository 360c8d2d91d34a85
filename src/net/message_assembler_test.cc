#include "net/message_assembler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace longbow::net {
namespace {

using Framing = MessageAssembler::Framing;

std::string Join(const Message& message) {
  std::string text;
  for (const Slice& piece : message) {
    text += piece.view();
  }
  return text;
}

std::string Framed(const std::string& text, char compressed = 0) {
  std::string bytes{compressed};
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(text.size() >> shift & 0xff);
  }
  return bytes + text;
}

class MessageAssemblerTest : public ::testing::Test {
 protected:
  MessageAssembler Make(Framing framing = Framing::kGrpc, size_t message_max_bytes = 1 << 20) {
    return MessageAssembler(framing, message_max_bytes, budget_);
  }

  static void Copy(MessageAssembler& assembler, const std::string& bytes) {
    assembler.AppendCopy({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  }

  static std::vector<std::string> TakeAll(MessageAssembler& assembler) {
    std::vector<std::string> messages;
    for (;;) {
      auto taken = assembler.Take();
      EXPECT_TRUE(taken.ok()) << taken.status().ToString();
      if (!taken.ok() || !taken->has_value()) {
        return messages;
      }
      messages.push_back(Join(**taken));
    }
  }

  std::shared_ptr<ReceiveBudget> budget_ = std::make_shared<ReceiveBudget>(1 << 20);
};

TEST_F(MessageAssemblerTest, MessagesBeginAndEndAnywhere) {
  const std::vector<std::string> sent{"", "a", std::string(300, 'b'), "", std::string(2000, 'c')};
  std::string bytes;
  for (const auto& message : sent) {
    bytes += Framed(message);
  }
  for (size_t step = 1; step < bytes.size(); step = step * 3 / 2 + 1) {
    for (const bool copied : {false, true}) {
      MessageAssembler assembler = Make();
      std::vector<std::string> received;
      for (size_t at = 0; at < bytes.size(); at += step) {
        const std::string part = bytes.substr(at, step);
        copied ? Copy(assembler, part) : assembler.Append(Slice::Own(part));
        const auto messages = TakeAll(assembler);
        received.insert(received.end(), messages.begin(), messages.end());
      }
      EXPECT_EQ(received, sent) << "in steps of " << step;
      EXPECT_TRUE(assembler.AtBoundary());
      EXPECT_FALSE(assembler.AtEnd());
      assembler.End();
      EXPECT_TRUE(TakeAll(assembler).empty());
      EXPECT_TRUE(assembler.AtEnd());
    }
  }
}

TEST_F(MessageAssemblerTest, AKeptSliceIsNotCopied) {
  MessageAssembler assembler = Make();
  const Slice bytes = Slice::Own(Framed(std::string(5000, 'x')));
  assembler.Append(bytes);
  const auto taken = assembler.Take();
  ASSERT_TRUE(taken.ok() && taken->has_value());
  ASSERT_EQ((*taken)->size(), 1u);
  EXPECT_EQ((*taken)->front().data(), bytes.data() + MessageAssembler::kPrefixSizeBytes);
}

TEST_F(MessageAssemblerTest, ADribbledMessageIsFewPiecesAndLittleMemory) {
  MessageAssembler assembler = Make();
  const std::string bytes = Framed(std::string(100'000, 'x'));
  for (const char byte : bytes) {
    Copy(assembler, std::string(1, byte));
  }
  EXPECT_LT(budget_->held(), 2 * bytes.size());
  const auto taken = assembler.Take();
  ASSERT_TRUE(taken.ok() && taken->has_value());
  EXPECT_LT((*taken)->size(), 20u);
  EXPECT_EQ(Join(**taken), std::string(100'000, 'x'));
}

TEST_F(MessageAssemblerTest, CopiedBytesCountUntilTheirMessageIsGone) {
  {
    MessageAssembler assembler = Make();
    Copy(assembler, Framed("abc"));
    auto taken = assembler.Take();
    EXPECT_EQ(budget_->held(), 8u);
  }
  EXPECT_EQ(budget_->held(), 0u);
}

TEST_F(MessageAssemblerTest, TooLargeIsSaidBeforeTheBytesCome) {
  MessageAssembler assembler = Make(Framing::kGrpc, 10);
  Copy(assembler, Framed(std::string(10, 'x')) + std::string("\0\0\0\0\x0b", 5));
  EXPECT_TRUE(assembler.Take().ok());
  const auto taken = assembler.Take();
  EXPECT_EQ(taken.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(taken.status().message(), "Received message larger than max (11 vs. 10)");
}

TEST_F(MessageAssemblerTest, CompressedAndNonsenseFlags) {
  MessageAssembler compressed = Make();
  Copy(compressed, Framed("abc", 1));
  EXPECT_EQ(compressed.Take().status().code(), StatusCode::kUnimplemented);
  MessageAssembler nonsense = Make();
  Copy(nonsense, Framed("abc", 7));
  EXPECT_EQ(nonsense.Take().status().code(), StatusCode::kInvalidArgument);
}

TEST_F(MessageAssemblerTest, AnEndInsideAMessageIsAnError) {
  const std::string bytes = Framed("abc");
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    MessageAssembler assembler = Make();
    Copy(assembler, bytes.substr(0, cut));
    assembler.End();
    EXPECT_EQ(assembler.Take().status().code(), StatusCode::kInvalidArgument) << cut;
  }
}

TEST_F(MessageAssemblerTest, AWholeBodyIsOneMessageEvenIfEmpty) {
  MessageAssembler assembler = Make(Framing::kWholeBody);
  Copy(assembler, "ab");
  EXPECT_TRUE(TakeAll(assembler).empty());
  assembler.Append(Slice::Own("cd"));
  assembler.End();
  EXPECT_FALSE(assembler.AtEnd());
  EXPECT_EQ(TakeAll(assembler), std::vector<std::string>{"abcd"});
  EXPECT_TRUE(assembler.AtEnd());

  MessageAssembler empty = Make(Framing::kWholeBody);
  empty.End();
  EXPECT_EQ(TakeAll(empty), std::vector<std::string>{""});
  EXPECT_TRUE(empty.AtEnd());
}

TEST_F(MessageAssemblerTest, ABodyOverTheLimitIsRefusedWhileItComes) {
  MessageAssembler assembler = Make(Framing::kWholeBody, 3);
  Copy(assembler, "abc");
  EXPECT_TRUE(assembler.Take().ok());
  Copy(assembler, "d");
  EXPECT_EQ(assembler.Take().status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace longbow::net
