// How PromQL is read: enough to tell what a query selects.
#include <catch2/catch.hpp>

#include "plugin/promql.h"

using namespace mo::plugin;

namespace {

// The selectors that name no namespace.
std::vector<std::string> wide(const std::string& query) {
  const promql::Query read = promql::read(query);
  std::vector<std::string> all;
  for (const promql::Selector& selector : read.selectors)
    if (!promql::names_namespace(read, selector)) all.push_back(selector.to_string());
  return all;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("promql: selectors without a namespace", "[plugin][promql]") {
  struct Row {
    const char* query;
    Texts wide;
  };
  const Row rows[] = {
      {R"(up)", {"up"}},
      {R"(up{namespace="a"})", {}},
      {R"(up{namespace="{{namespace}}", job="x"})", {}},
      {R"(up{job="x", namespace=~"a|b"})", {}},
      {R"(up{exported_namespace='a'})", {}},
      {R"(up{kubernetes_namespace != `a`,})", {}},
      {R"(up{job="namespace"})", {"up"}},
      {R"(up{job="{namespace=\"a\"}"})", {"up"}},
      {R"(up{})", {"up"}},
      {R"({__name__="up", namespace="a"})", {}},
      {R"({"my.metric", namespace="a"})", {}},
      {R"({"my.metric", job="a"})", {"my.metric"}},
      {R"({job=~".+"})", {"{job}"}},
      // Recording rules are metrics like any other.
      {R"(job:http_errors:ratio5m)", {"job:http_errors:ratio5m"}},
      {R"(namespace_model:errors:rate5m{model="{{model}}"})", {"namespace_model:errors:rate5m"}},
      {R"(namespace_model:errors:rate5m{namespace="{{namespace}}"})", {}},
      // Functions, aggregations, durations, offsets, subqueries and numbers select nothing.
      {R"(sum by (version, namespace) (rate(a{namespace="n"}[5m])) / sum(rate(b[1m])) by (version))", {"b"}},
      {R"(histogram_quantile(0.99, sum(rate(a_bucket[5m] offset -1d)) without (le)))", {"a_bucket"}},
      {R"(max_over_time(a{namespace="n"}[1h:5m] @ start()) > bool 1e-5)", {}},
      {R"(count_values("version", a))", {"a"}},
      {R"(topk(5, a) or quantile_over_time(.9, b[1w]) unless c)", {"a", "b", "c"}},
      {R"(vector(1) + time() - Inf + NaN * scalar(vector(0x1F)))", {}},
      {R"x(label_replace(a, "namespace", "$1", "job", "(.*)"))x", {"a"}},
      // A join on the namespace binds the other side.
      {R"(a{namespace="n"} * on (namespace, pod) group_left (node) b)", {}},
      {R"(a{namespace="n"} * on (pod) b)", {"b"}},
      {R"(a * on (namespace) b)", {"a", "b"}},
      {R"(a{namespace="n"} / ignoring (code) group_left b)", {"b"}},
      // Placeholders and comments.
      {R"({{model}}_requests{namespace="{{namespace}}"} # and up)", {}},
      {"a # x\n + b{namespace='n'}", {"a"}},
      {R"(sum(rate(requests_total{model="{{model}}",code=~"5.."}[1m])) / sum(rate(requests_total{namespace="n"}[1m])))",
       {"requests_total"}},
      // What is no PromQL does not stop the reader.
      {"", {}},
      {"a{", {"a"}},
      {"a{b", {"a"}},
      {"a{b=", {"a"}},
      {"a{b=}", {"a"}},
      {"a{namespace=\"", {}},
      {"sum by (", {}},
      {"a[5m", {"a"}},
      {"{{", {"{}"}},
      {"%$&!", {}},
  };
  for (const Row& row : rows) {
    INFO(row.query);
    CHECK(wide(row.query) == row.wide);
  }
}

TEST_CASE("promql: no data that is made a number", "[plugin][promql]") {
  for (const char* query : {"a or vector(0)", "sum(a) OR vector(0)", "(a or on() vector( 0.0 )) / b", "a or (vector(1))",
                            "a or label_replace(vector(0), \"x\", \"y\", \"\", \"\")", "a # x\nor\nvector(0)"}) {
    INFO(query);
    CHECK(promql::read(query).zero_for_no_data);
  }
  for (const char* query : {"a", "vector(0)", "a or b", "a or b + vector(0)", "a + vector(0)", "a{b=\"or vector(0)\"}",
                            "# or vector(0)", "a or vector(time())", "or_vector(0)"}) {
    INFO(query);
    CHECK_FALSE(promql::read(query).zero_for_no_data);
  }
}
