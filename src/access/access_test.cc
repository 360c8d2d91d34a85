// Keys, the file they are kept in, and the ring that asks for them.
#include <gtest/gtest.h>

#include "access/access_file.h"
#include "access/key_ring.h"
#include "base/memory_file_system.h"

namespace longbow::access {
namespace {

MintedKey Minted(Right right, const std::string& name_space) {
  Result<MintedKey> key = MintKey();
  EXPECT_TRUE(key.ok()) << key.status().ToString();
  key->record.right = right;
  key->record.name_space = name_space;
  return *key;
}

TEST(Key, MatchesItsOwnSecretOnly) {
  const MintedKey one = Minted(Right::kRead, "*"), other = Minted(Right::kRead, "*");
  EXPECT_NE(one.text, other.text);
  const auto parts = SplitKey(one.text);
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->id, one.record.id);
  EXPECT_TRUE(Matches(one.record, parts->secret));
  EXPECT_FALSE(Matches(other.record, parts->secret));
  EXPECT_FALSE(Matches(one.record, parts->secret.substr(1)));
  std::string changed(parts->secret);
  changed.back() = changed.back() == '0' ? '1' : '0';
  EXPECT_FALSE(Matches(one.record, changed));
}

TEST(Key, OtherTextsAreNone) {
  const std::string text = Minted(Right::kRead, "*").text;
  for (const std::string& wrong : {std::string(), text.substr(1), text + "0", "xx" + text.substr(2),
                                   text.substr(0, text.size() - 1) + "g", std::string(84, '\xff')}) {
    EXPECT_FALSE(SplitKey(wrong)) << wrong;
  }
}

TEST(AccessFile, ComesBackAsItWasWritten) {
  AccessFile file;
  KeyRecord key = Minted(Right::kWrite, "ns1").record;
  key.created_ns = 1'700'000'000'000'000'000;
  key.expires_ns = 1'800'000'000'000'000'000;
  key.note = "of \"somebody\"";
  key.rates = {.requests_per_second = 1.5, .bytes_per_second = 1e6};
  file.keys = {key, Minted(Right::kAdmin, "*").record};
  file.namespaces = {{"ns1", {.datasets = 1, .rows = 2, .bytes = 3, .rates = {.requests_per_second = 4}}}};
  const Result<AccessFile> read = ParseAccessFile(SerializeAccessFile(file), "f");
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ASSERT_EQ(read->keys.size(), 2u);
  EXPECT_EQ(read->keys[0].id, key.id);
  EXPECT_EQ(read->keys[0].hash, key.hash);
  EXPECT_EQ(read->keys[0].salt, key.salt);
  EXPECT_EQ(read->keys[0].right, Right::kWrite);
  EXPECT_EQ(read->keys[0].name_space, "ns1");
  EXPECT_EQ(read->keys[0].expires_ns, key.expires_ns);
  EXPECT_EQ(read->keys[0].note, key.note);
  EXPECT_EQ(read->keys[0].rates, key.rates);
  EXPECT_FALSE(read->keys[1].expires_ns);
  ASSERT_EQ(read->namespaces.size(), 1u);
  EXPECT_EQ(read->namespaces[0].limits, file.namespaces[0].limits);
}

TEST(AccessFile, SaysWhatIsWrongAndWhere) {
  const std::string good = SerializeAccessFile({{Minted(Right::kRead, "ns1").record}, {}});
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    const Result<AccessFile> read = ParseAccessFile(text, "keys.json");
    EXPECT_EQ(read.status().code(), StatusCode::kInvalidArgument) << to;
    return std::string(read.status().message());
  };
  EXPECT_NE(with("\"read\"", "\"root\"").find("keys.json: keys[0]: role expected read, write or admin, got 'root'"),
            std::string::npos);
  EXPECT_NE(with("\"ns1\"", "\"a/b\"").find("namespace must be a name without a slash"), std::string::npos);
  EXPECT_NE(with("\"sha256\"", "\"sha257\"").find("sha256 is missing"), std::string::npos);
  EXPECT_NE(with("\"format\": 1", "\"format\": 2").find("\"format\" must be 1"), std::string::npos);
  EXPECT_NE(with("{", "{{").find("not a JSON object"), std::string::npos);
}

TEST(AccessFile, IsChangedAsAWholeOrNotAtAll) {
  MemoryFileSystem fs;
  const auto add = [](AccessFile& file) -> Status {
    file.keys.push_back(Minted(Right::kRead, "*").record);
    return {};
  };
  ASSERT_TRUE(ChangeAccessFile(fs, "/keys.json", add).ok());
  ASSERT_TRUE(ChangeAccessFile(fs, "/keys.json", add).ok());
  EXPECT_EQ(ReadAccessFile(fs, "/keys.json")->keys.size(), 2u);
  EXPECT_FALSE(ChangeAccessFile(fs, "/keys.json", [](AccessFile& file) {
                 file.keys.clear();
                 return NotFound("no");
               }).ok());
  EXPECT_EQ(ReadAccessFile(fs, "/keys.json")->keys.size(), 2u);
}

TEST(KeyRing, WithoutAFileEverybodyMayDoEverything) {
  FakeClock clock;
  const KeyRing ring(clock, false);
  Result<Caller> caller = ring.Authenticate("");
  ASSERT_TRUE(caller.ok());
  EXPECT_TRUE(caller->grant.Allow(Right::kAdmin, "x").ok());
  EXPECT_TRUE(caller->grant.AllowNamespace("any").ok());
  EXPECT_TRUE(ring.StillHolds(*caller).ok());
}

TEST(KeyRing, AsksAndForgets) {
  FakeClock clock;
  KeyRing ring(clock, true);
  MintedKey reader = Minted(Right::kRead, "ns1"), brief = Minted(Right::kAdmin, "*");
  brief.record.expires_ns = clock.WallNowNs() + 1'000'000'000;
  ring.Replace({{reader.record, brief.record}, {}});

  EXPECT_EQ(ring.Authenticate("").status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(ring.Authenticate("Bearer " + Minted(Right::kRead, "*").text).status().code(),
            StatusCode::kUnauthenticated);
  EXPECT_EQ(ring.Authenticate(reader.text).status().code(), StatusCode::kUnauthenticated);
  Result<Caller> caller = ring.Authenticate("bearer  " + reader.text);
  ASSERT_TRUE(caller.ok()) << caller.status().ToString();
  EXPECT_EQ(caller->grant.Allow(Right::kWrite, "DoPut").code(), StatusCode::kPermissionDenied);
  EXPECT_TRUE(caller->grant.Allow(Right::kRead, "DoGet").ok());
  EXPECT_TRUE(caller->grant.AllowNamespace("ns1").ok());
  EXPECT_EQ(caller->grant.AllowNamespace("ns10").code(), StatusCode::kPermissionDenied);

  Result<Caller> soon_over = ring.Authenticate("Bearer " + brief.text);
  ASSERT_TRUE(soon_over.ok());
  EXPECT_TRUE(ring.StillHolds(*soon_over).ok());
  clock.Advance(std::chrono::seconds(1));
  EXPECT_EQ(ring.StillHolds(*soon_over).code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(ring.Authenticate("Bearer " + brief.text).status().code(), StatusCode::kUnauthenticated);

  EXPECT_TRUE(ring.StillHolds(*caller).ok());
  ring.Replace({{reader.record}, {}});
  EXPECT_TRUE(ring.StillHolds(*caller).ok()) << "another key went";
  ring.Replace({});
  EXPECT_EQ(ring.StillHolds(*caller).code(), StatusCode::kUnauthenticated);
}

TEST(KeyRing, TakesTheKeyAsAPassword) {
  // base64("user:secret"), with every length of padding.
  EXPECT_EQ(KeyOfHeader("Basic dXNlcjpzZWNyZXQ="), "secret");
  EXPECT_EQ(KeyOfHeader("basic dTphYmM="), "abc");
  EXPECT_EQ(KeyOfHeader("Basic dTphYmNk"), "abcd");
  EXPECT_EQ(KeyOfHeader("Basic dTphYg=="), "ab");
  EXPECT_EQ(KeyOfHeader("Basic !!!!"), "");
  EXPECT_EQ(KeyOfHeader("Basic dXNlcg=="), "") << "no colon";
  EXPECT_EQ(KeyOfHeader("Negotiate abcd"), "");
  EXPECT_EQ(KeyOfHeader("Bearer"), "");
}

}  // namespace
}  // namespace longbow::access
