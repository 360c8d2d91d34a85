#include "wire/requests.h"
#include "wire/row_requests.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace longbow::wire {
namespace {

using Op = Predicate::Op;

ScanRequest Scan(std::string_view ticket) {
  const auto parsed = ParseTicket(ticket);
  EXPECT_TRUE(parsed.ok()) << parsed.status().ToString();
  return parsed.ok() ? std::get<ScanRequest>(*parsed) : ScanRequest();
}

SearchRequest Search(std::string_view ticket) {
  const auto parsed = ParseTicket(ticket);
  EXPECT_TRUE(parsed.ok()) << parsed.status().ToString();
  return parsed.ok() ? std::get<SearchRequest>(*parsed) : SearchRequest();
}

template <typename T>
void ExpectInvalid(const Result<T>& result, const std::string& text) {
  EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument) << result.status().ToString();
  EXPECT_NE(result.status().message().find(text), std::string_view::npos)
      << result.status().ToString() << "\nexpected: " << text;
}

// "(and (= price 500) ...)"
std::string Describe(const Predicate& predicate) {
  static const char* const kNames[] = {"and", "or", "not",   "=",       "!=",       "<",      "<=",   ">",
                                       ">=",  "in", "notin", "between", "contains", "prefix", "null", "notnull"};
  std::string text = std::string("(") + kNames[static_cast<int>(predicate.op)];
  text += predicate.field.empty() ? "" : " " + predicate.field;
  for (const std::string& value : predicate.values) {
    text += " " + value;
  }
  for (const Predicate& child : predicate.children) {
    text += " " + Describe(child);
  }
  return text + ")";
}

std::string Filter(const std::string& filters) {
  return Describe(Scan(R"({"name":"d","filters":)" + filters + "}").filter);
}

TEST(ParseTicket, ScansByNameOrJson) {
  EXPECT_EQ(Scan("docs").collection, "docs");
  EXPECT_EQ(Scan("ns1/ds1").collection, "ns1/ds1");
  EXPECT_EQ(Scan("").collection, "");
  EXPECT_EQ(Scan("{}").collection, "");
  EXPECT_EQ(Scan("  { } ").collection, "");
  EXPECT_TRUE(Scan("{}").filter.MatchesAll());
  const ScanRequest scan = Scan(
      R"({"name":"ds","limit":10,"filters":[{"field":"price","operator":">","value":"500"}],"unknown":[1,{"a":null}]})");
  EXPECT_EQ(scan.collection, "ds");
  EXPECT_EQ(scan.limit, 10u);
  EXPECT_EQ(Describe(scan.filter), "(and (> price 500))");
  EXPECT_EQ(Scan(R"({"dataset":"alias"})").collection, "alias");
  EXPECT_EQ(Scan(R"({"dataset":"alias","name":"ds"})").collection, "ds");
  EXPECT_EQ(Scan(R"({"name":"first","name":"last"})").collection, "last");
  EXPECT_EQ(Scan(R"({"name":"\u00fc\n"})").collection, "ü\n");
  EXPECT_FALSE(Scan(R"({"name":"d","limit":0})").limit.has_value());
  EXPECT_FALSE(Scan(R"({"name":"d","limit":-1})").limit.has_value());
  EXPECT_FALSE(Scan(R"({"name":"d","limit":null,"filters":null,"search":null})").limit.has_value());
  EXPECT_EQ(Scan(R"({"name":"d","limit":"7"})").limit, 7u);
}

TEST(ParseTicket, RefusesBadJson) {
  for (const char* ticket : {"{",
                             "{\"name\"",
                             "{\"name\":}",
                             "{\"name\":\"a\"",
                             "{\"name\":\"a\"}}",
                             "{\"name\":\"a\"} x",
                             "{'name':'a'}",
                             "{\"name\":5}",
                             "{\"name\":\"a\",\"limit\":\"x\"}",
                             "{\"name\":\"a\",\"limit\":1.5}",
                             "{\"name\":\"a\",\"limit\":[]}",
                             "{\"a\":tru}",
                             "{\"a\":01}",
                             "{\"a\":1e400}",
                             "{\"a\":[1,2}",
                             "{\"name\":\"\xff\"}",
                             "{\"search\":5}",
                             "{\"search\":[]}",
                             "{\"name\":\"a\",\"filters\":5}",
                             "{\"name\":\"a\",\"filters\":[5]}"}) {
    SCOPED_TRACE(ticket);
    ExpectInvalid(ParseTicket(ticket), "invalid ticket format");
  }
  ExpectInvalid(ParseTicket("\xff\xfe"), "invalid ticket format");
  ExpectInvalid(ParseTicket(std::string(limits::kNameSizeMaxBytes + 1, 'x')), "at most 1024 bytes");
  ExpectInvalid(ParseTicket("{\"name\":\"" + std::string(limits::kNameSizeMaxBytes + 1, 'x') + "\"}"), "too long");
  ExpectInvalid(ParseTicket("{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}"),
                "invalid ticket format");
  ExpectInvalid(ParseTicket("{\"a\":99999999999999999999999}"), "numbers beyond 64 bits may be sent as strings");
  ExpectInvalid(ParseTicket("{" + std::string(limits::kTicketSizeMaxBytes, ' ') + "}"), "bytes allowed");
}

TEST(ParseTicket, Searches) {
  const SearchRequest search = Search(
      R"({"limit":"wrong but ignored","search":{"dataset":"ds","vector":[0.5,2,-3e-1,1E2],"k":7,"ef":200,"text_query":"fox",
      "alpha":0.25,"graph_alpha":0.5,"include_vectors":true,"vector_format":"f16","local_only":true,"graph_depth":2,
      "filters":[{"field":"a","op":"eq","value":1}]}})");
  EXPECT_EQ(search.collection, "ds");
  ASSERT_EQ(search.vectors.size(), 1u);
  EXPECT_EQ(search.vectors[0].numbers(), (std::vector<double>{0.5, 2.0, -0.3, 100.0}));
  EXPECT_EQ(search.k, 7);
  EXPECT_EQ(search.ef, 200u);
  EXPECT_EQ(search.text_query, "fox");
  EXPECT_EQ(search.alpha, 0.25);
  EXPECT_EQ(search.graph_alpha, 0.5);
  EXPECT_TRUE(search.include_vectors);
  EXPECT_EQ(search.vector_format, VectorFormat::kFloat16);
  EXPECT_TRUE(search.local_only);
  EXPECT_EQ(Describe(search.filter), "(and (= a 1))");
}

TEST(ParseTicket, RecallTarget) {
  EXPECT_EQ(Search(R"({"search":{"dataset":"ds","recall_target":0.95}})").recall_target, 0.95);
  EXPECT_FALSE(Search(R"({"search":{"dataset":"ds"}})").recall_target.has_value());
}

TEST(ParseTicket, SearchDefaults) {
  const SearchRequest search = Search(R"({"search":{"dataset":"ds"}})");
  EXPECT_TRUE(search.vectors.empty());
  EXPECT_EQ(search.k, 10);
  EXPECT_EQ(search.ef, 0u);
  EXPECT_EQ(search.alpha, 1.0);
  EXPECT_FALSE(search.include_vectors);
  EXPECT_EQ(search.vector_format, VectorFormat::kStored);
  EXPECT_TRUE(search.filter.MatchesAll());
  EXPECT_EQ(Search(R"({"search":{"dataset":"ds","text_query":"fox"}})").alpha, 0.5);
  EXPECT_EQ(Search(R"({"search":{"dataset":"ds","text_query":"fox","alpha":1}})").alpha, 1.0);
  EXPECT_TRUE(Search(R"({"search":{"dataset":"ds","vector":[],"filters":{},"vector_format":null,"text_query":null}})")
                  .vectors.empty());
}

TEST(ParseSearch, LimitsAndExplain) {
  const auto plain = ParseSearch(R"({"dataset":"ds","radius":null})");
  ASSERT_TRUE(plain.ok());
  EXPECT_FALSE(plain->radius || plain->score_min || plain->explain);
  const auto limited = ParseSearch(R"({"dataset":"ds","radius":0.5,"score_min":-2,"explain":true})");
  ASSERT_TRUE(limited.ok());
  EXPECT_EQ(limited->radius, 0.5);
  EXPECT_EQ(limited->score_min, -2.0);
  EXPECT_TRUE(limited->explain);
  ExpectInvalid(ParseSearch(R"({"radius":"near"})"), "\"radius\" must be a number");
  ExpectInvalid(ParseSearch(R"({"explain":1})"), "\"explain\" must be true or false");
}

TEST(ParseSearch, BatchesKeepTheirOrder) {
  const auto search = ParseSearch(R"({"dataset":"ds","vectors":[[3,4],[5,6]],"vector":[1,2],"k":"12"})");
  ASSERT_TRUE(search.ok()) << search.status().ToString();
  ASSERT_EQ(search->vectors.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const double first = 2.0 * static_cast<double>(i) + 1;
    EXPECT_EQ(search->vectors[i].numbers(), (std::vector<double>{first, first + 1}));
  }
  EXPECT_EQ(search->k, 12);
  EXPECT_EQ(ParseSearch(R"({"k":3.0})")->k, 3);
  EXPECT_EQ(ParseSearch(R"({"k":-5})")->k, -5);  // the engine says what is wrong with it
}

TEST(ParseSearch, RefusesBadValues) {
  const auto refuse = [](const std::string& body, const std::string& text) { ExpectInvalid(ParseSearch(body), text); };
  refuse("", "invalid search request");
  refuse("[]", "a JSON object is expected");
  refuse(R"({"vector":[1,"2"]})", "element 1 of a vector is no number");
  refuse(R"({"vector":[null]})", "element 0 of a vector is no number");
  refuse(R"({"vector":[1,NaN]})", "invalid search request");
  refuse(R"({"vector":[1,1e39]})", "element 1 of a vector is beyond the range of float32");
  refuse(R"({"vector":[1e999]})", "invalid search request");
  refuse(R"({"vector":{}})", "a vector must be an array of numbers");
  refuse(R"({"vectors":[1,2]})", "a vector must be an array of numbers");
  refuse(R"({"vectors":{}})", "\"vectors\" must be an array");
  refuse(R"({"k":1.5})", "\"k\" must be an integer");
  refuse(R"({"k":true})", "\"k\" must be an integer");
  refuse(R"({"k":"ten"})", "\"k\" must be an integer");
  refuse(R"({"k":18446744073709551615})", "\"k\" must be an integer");
  refuse(R"({"ef":-1})", "\"ef\" must be 0 to 1000000");
  refuse(R"({"recall_target":"high"})", "\"recall_target\" must be a number");
  refuse(R"({"alpha":"0.5"})", "\"alpha\" must be a number");
  refuse(R"({"include_vectors":"yes"})", "\"include_vectors\" must be true or false");
  refuse(R"({"vector_format":"f64"})", "unknown vector_format \"f64\": use f32, f16, sq8 or quantized");
  refuse(R"({"dataset":7})", "\"dataset\" must be a string");
  std::string huge = "{\"vector\":[0";
  for (size_t i = 0; i < limits::kDimensionMax; ++i) {
    huge += ",0";
  }
  refuse(huge + "]}", "more than 65536 elements");
  std::string many = "{\"vectors\":[[0]";
  for (size_t i = 0; i < limits::kQueriesPerSearchMax; ++i) {
    many += ",[0]";
  }
  refuse(many + "]}", "at most 10000 vectors");
}

TEST(Filters, OperatorsInAllSpellings) {
  const std::vector<std::pair<std::string, std::vector<const char*>>> spellings = {
      {"=", {"=", "==", "eq", "EQ"}},
      {"!=", {"!=", "neq", "<>", "ne"}},
      {">", {">", "gt", "GT"}},
      {">=", {">=", "ge", "gte"}},
      {"<", {"<", "lt"}},
      {"<=", {"<=", "le", "Lte"}},
      {"in", {"in", "IN"}},
      {"notin", {"not in", "NOT_IN", "nin"}},
      {"contains", {"contains", "Contains"}},
      {"prefix", {"prefix", "starts_with"}}};
  for (const auto& [name, forms] : spellings) {
    for (const char* form : forms) {
      EXPECT_EQ(Filter(std::string(R"([{"field":"f","operator":")") + form + R"(","value":"1"}])"),
                "(and (" + name + " f 1))")
          << form;
    }
  }
  EXPECT_EQ(Filter(R"([{"field":"f","op":"between","value":[1,2.5]}])"), "(and (between f 1 2.5))");
  for (const char* form : {"is null", "is_null", "IS NULL"}) {
    EXPECT_EQ(Filter(std::string(R"([{"field":"f","op":")") + form + R"(","value":""}])"), "(and (null f))");
  }
  EXPECT_EQ(Filter(R"([{"field":"f","op":"is not null"},{"field":"g","op":"is_not_null"}])"),
            "(and (notnull f) (notnull g))");
  for (const char* bad : {"~", "", "like", "=>"}) {
    ExpectInvalid(ParseTicket(std::string(R"({"filters":[{"field":"f","op":")") + bad + R"(","value":1}]})"),
                  std::string("unknown operator \"") + bad + "\" in the filter on field f: use =, !=");
  }
  ExpectInvalid(ParseTicket(R"({"filters":[{"field":"f","value":1}]})"), "unknown operator \"\"");
}

TEST(Filters, ValuesOfEveryKind) {
  EXPECT_EQ(Filter(R"([{"field":"f","op":"=","value":10.5}])"), "(and (= f 10.5))");
  EXPECT_EQ(Filter(R"([{"field":"f","op":"=","value":-3}])"), "(and (= f -3))");
  EXPECT_EQ(Filter(R"([{"field":"f","op":"=","value":18446744073709551615}])"), "(and (= f 18446744073709551615))");
  EXPECT_EQ(Filter(R"([{"field":"f","op":"=","value":true}])"), "(and (= f true))");
  EXPECT_EQ(Filter(R"([{"field":"f","op":"=","value":0.1}])"), "(and (= f 0.1))");
  EXPECT_EQ(Filter(R"([{"field":"f","op":"in","values":["a",1,false]}])"), "(and (in f a 1 false))");
  ExpectInvalid(ParseTicket(R"({"filters":[{"field":"f","op":"=","value":{}}]})"),
                "the value of the filter on field f");
  ExpectInvalid(ParseTicket(R"({"filters":[{"field":"f","op":"in","value":["a",null]}]})"), "for null use is_null");
}

TEST(Filters, NestedLogic) {
  EXPECT_EQ(
      Filter(
          R"({"logic":"or","filters":[{"field":"a","op":"=","value":1},{"logic":"NOT","filters":[{"field":"b","op":"=","value":2}]}]})"),
      "(or (= a 1) (not (= b 2)))");
  EXPECT_EQ(
      Filter(R"([{"logic":"NOT","filters":[{"field":"a","op":"=","value":1},{"field":"b","op":"=","value":2}]}])"),
      "(and (not (and (= a 1) (= b 2))))");
  EXPECT_EQ(Filter(R"([{"filters":[{"field":"a","op":"=","value":1}]}])"), "(and (and (= a 1)))");
  EXPECT_EQ(Filter(R"({"field":"a","op":"=","value":1})"), "(= a 1)");
  EXPECT_EQ(
      Filter(
          R"([{"field":"","operator":"","value":"","logic":"OR","filters":[{"field":"a","operator":"=","value":"1","logic":"","filters":null}]}])"),
      "(and (or (= a 1)))");
  EXPECT_EQ(Filter("{}"), "(and)");
  EXPECT_EQ(Describe(Scan(R"({"name":"d","filter":[{"field":"a","op":"=","value":1}]})").filter), "(and (= a 1))");
  ExpectInvalid(ParseTicket(R"({"filters":[{"logic":"xor","filters":[{"field":"a","op":"=","value":1}]}]})"),
                "unknown filter logic \"xor\"");
  ExpectInvalid(
      ParseTicket(R"({"filters":[{"field":"a","op":"=","value":1,"filters":[{"field":"a","op":"=","value":1}]}]})"),
      "not both");
  ExpectInvalid(ParseTicket(R"({"filters":[{"op":"=","value":1}]})"), "a filter without field");
  std::string deep;
  for (size_t i = 0; i < limits::kFilterDepthMax + 1; ++i) {
    deep += R"({"logic":"NOT","filters":[)";
  }
  deep += R"({"field":"a","op":"=","value":1})";
  for (size_t i = 0; i < limits::kFilterDepthMax + 1; ++i) {
    deep += "]}";
  }
  ExpectInvalid(ParseTicket("{\"filters\":" + deep + "}"), "too deep");
  std::string wide;
  for (size_t i = 0; i < limits::kFilterNodesMax + 1; ++i) {
    wide += std::string(i == 0 ? "" : ",") + R"({"field":"a","op":"=","value":1})";
  }
  ExpectInvalid(ParseTicket("{\"filters\":[" + wide + "]}"), "too large");
}

TEST(ParseSearchById, TakesNumbersAndStrings) {
  EXPECT_EQ(ParseSearchById(R"({"dataset":"ds","id":"7","k":3})")->id, "7");
  EXPECT_EQ(ParseSearchById(R"({"dataset":"ds","id":7})")->id, "7");
  EXPECT_EQ(ParseSearchById(R"({"dataset":"ds","id":-7})")->id, "-7");
  EXPECT_EQ(ParseSearchById(R"({"dataset":"ds","id":18446744073709551615})")->id, "18446744073709551615");
  const auto request =
      ParseSearchById(R"({"dataset":"ds","id":"x","k":3,"include_vectors":true,"vector_format":"f32"})");
  EXPECT_EQ(request->k, 3);
  EXPECT_EQ(request->collection, "ds");
  EXPECT_TRUE(request->include_vectors);
  ExpectInvalid(ParseSearchById(R"({"dataset":"ds"})"), "\"id\" is missing");
  ExpectInvalid(ParseSearchById(R"({"dataset":"ds","id":1.5})"), "\"id\" must be a string or a whole number");
  ExpectInvalid(ParseSearchById(R"({"dataset":"ds","id":[1]})"), "\"id\" must be");
}

TEST(ParseSetTtl, TakesSecondsAndAColumn) {
  const auto request = ParseSetTtl(R"({"dataset":"ds","ttl_seconds":"60","expires_at":"ends"})");
  ASSERT_TRUE(request.ok()) << request.status().ToString();
  EXPECT_EQ(request->collection, "ds");
  EXPECT_EQ(request->ttl_seconds, 60);
  EXPECT_EQ(request->expiry_column, "ends");
  EXPECT_EQ(ParseSetTtl(R"({"name":"ds","ttl_seconds":0,"expires_at":null})")->expiry_column, std::nullopt);
  ExpectInvalid(ParseSetTtl(R"({"dataset":"ds"})"), "\"ttl_seconds\" is missing");
  ExpectInvalid(ParseSetTtl(R"({"ttl_seconds":1})"), "missing dataset name");
  ExpectInvalid(ParseSetTtl(R"({"dataset":"ds","ttl_seconds":1.5})"), "ttl_seconds");
  ExpectInvalid(ParseSetTtl(R"({"dataset":"ds","ttl_seconds":99999999999999999999})"), "out of range");
  ExpectInvalid(ParseSetTtl(R"({"dataset":"ds","ttl_seconds":1,"expires_at":7})"), "expires_at");
}

TEST(ParseDelete, TakesOneOrMany) {
  EXPECT_EQ(ParseDelete(R"({"dataset":"ds","id":"7"})")->ids, (std::vector<std::string>{"7"}));
  EXPECT_EQ(ParseDelete(R"({"dataset":"ds","ids":[1,"b",-3]})")->ids, (std::vector<std::string>{"1", "b", "-3"}));
  EXPECT_EQ(ParseDelete(R"({"dataset":"ds","ids":["b"],"id":5})")->ids, (std::vector<std::string>{"5", "b"}));
  ExpectInvalid(ParseDelete(R"({"dataset":"ds"})"), "\"id\" is missing");
  ExpectInvalid(ParseDelete(R"({"dataset":"ds","ids":[]})"), "\"id\" is missing");
  ExpectInvalid(ParseDelete(R"({"dataset":"ds","ids":[true]})"), "strings or whole numbers");
  ExpectInvalid(ParseDelete(R"({"dataset":"ds","ids":"7"})"), "must be an array");
  ExpectInvalid(ParseDelete(R"({"id":"7"})"), "missing dataset name");
  std::string many = "{\"dataset\":\"ds\",\"ids\":[0";
  for (size_t i = 0; i < limits::kIdsPerRequestMax; ++i) {
    many += ",0";
  }
  ExpectInvalid(ParseDelete(many + "]}"), "at most 100000 ids");
}

TEST(ParseName, TakesDatasetAndName) {
  EXPECT_EQ(ParseName("")->name, "");
  EXPECT_EQ(ParseName(" \n")->dataset, "");
  EXPECT_EQ(ParseName("{}")->dataset, "");
  EXPECT_EQ(ParseName(R"({"dataset":"d","name":"n","overwrite":true})")->dataset, "d");
  EXPECT_EQ(ParseName(R"({"dataset":"d","name":"n"})")->name, "n");
  ExpectInvalid(ParseName("d"), "invalid request");
  ExpectInvalid(ParseName(R"({"name":1})"), "\"name\" must be a string");
}

TEST(ParseCriteria, FiltersByNameAndRows) {
  const auto matches = [](const std::string& filters, std::string_view name, uint64_t rows) {
    const auto criteria = ParseCriteria("{\"filters\":" + filters + "}");
    EXPECT_TRUE(criteria.ok()) << criteria.status().ToString();
    return criteria.ok() && criteria->Matches(name, rows);
  };
  EXPECT_TRUE(ParseCriteria("")->Matches("a", 1));
  EXPECT_TRUE(ParseCriteria("{}")->Matches("a", 1));
  EXPECT_TRUE(matches(R"([{"field":"name","operator":"contains","value":"oc"}])", "docs", 1));
  EXPECT_FALSE(matches(R"([{"field":"name","operator":"contains","value":"x"}])", "docs", 1));
  EXPECT_TRUE(
      matches(R"([{"field":"name","operator":"prefix","value":"do"},{"field":"name","operator":"!=","value":"dog"}])",
              "docs", 1));
  EXPECT_FALSE(matches(R"([{"field":"name","operator":"=","value":"doc"}])", "docs", 1));
  EXPECT_TRUE(matches(R"([{"field":"name","operator":"in","value":["a","docs"]}])", "docs", 1));
  EXPECT_TRUE(matches(R"([{"field":"rows","operator":">","value":"99"}])", "docs", 100));
  EXPECT_FALSE(matches(R"([{"field":"rows","operator":"<=","value":99}])", "docs", 100));
  EXPECT_TRUE(matches(R"([{"field":"rows","operator":"==","value":"100"}])", "docs", 100));
  EXPECT_TRUE(matches(R"([{"field":"rows","operator":"between","value":[1,100]}])", "docs", 100));
  EXPECT_TRUE(matches(R"([{"field":"owner","operator":"=","value":"me"}])", "docs", 100));
  EXPECT_TRUE(matches(R"([{"logic":"NOT","filters":[{"field":"owner","operator":"=","value":"me"}]}])", "docs", 100));
  EXPECT_FALSE(matches(R"([{"logic":"NOT","filters":[{"field":"rows","operator":">","value":"5"}]}])", "docs", 100));
  EXPECT_TRUE(matches(
      R"({"logic":"or","filters":[{"field":"name","op":"=","value":"x"},{"field":"rows","op":">","value":"5"}]})",
      "docs", 100));
  ExpectInvalid(ParseCriteria("docs"), "Invalid criteria: expected opening brace");
  ExpectInvalid(ParseCriteria("{\"filters\""), "Invalid criteria: ");
  ExpectInvalid(ParseCriteria(R"({"filters":[{"field":"rows","op":">","value":"many"}]})"),
                "invalid number \"many\" for rows");
  ExpectInvalid(ParseCriteria(R"({"filters":[{"field":"rows","op":"contains","value":"1"}]})"),
                "does not apply to rows");
  ExpectInvalid(ParseCriteria(R"({"filters":[{"field":"name","op":"="}]})"), "needs 1 value");
}

// Whatever bytes come, an answer comes back.
TEST(Requests, AnyBytesGetAnAnswer) {
  const std::string base =
      R"({"search":{"dataset":"ds","vector":[0.5,2],"k":7,"filters":[{"field":"a","op":"in","value":[1,"b"]}]},"id":"x","ids":[1]})";
  uint64_t state = 88172645463325252u;
  const auto random = [&](size_t bound) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<size_t>(state % bound);
  };
  size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = base;
    for (size_t change = 0; change <= random(4); ++change) {
      const size_t at = random(text.size());
      switch (random(3)) {
        case 0:
          text[at] = static_cast<char>(random(256));
          break;
        case 1:
          text.erase(at, random(8));
          break;
        default:
          text.insert(at, 1, "{}[]\",:0e-."[random(11)]);
      }
      if (text.empty()) {
        text = "{";
      }
    }
    accepted += ParseTicket(text).ok();
    accepted += ParseSearch(text).ok();
    accepted += ParseDelete(text).ok();
    accepted += ParseSearchById(text).ok();
    accepted += ParseName(text).ok();
    accepted += ParseCriteria(text).ok();
  }
  EXPECT_GT(accepted, 0u);
}

}  // namespace
}  // namespace longbow::wire
