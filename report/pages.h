// The pages that people read. Each is a whole document without anything from elsewhere; the same parts make up the one file.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "report/figures.h"
#include "report/html.h"
#include "report/portfolio.h"

namespace mo::report {

// What a reader asked to see of the portfolio; empty: all.
struct Filter {
  std::string text, team, model_class, tier, stage;
  std::string span = {};  // of a Model's figures
  size_t page = 1;
  int refresh = 0;  // seconds; 0: the page stays as it is
};
// Of a URL's query: "q=fraud&tier=high&page=2". What is not known is passed over.
Filter filter_of(const std::string& query);
std::vector<const Model*> filtered(const Portfolio& portfolio, const Filter& filter);

std::string portfolio_page(const Portfolio& portfolio, const Filter& filter);
// `figures`: what they were over time; null: nobody can be asked.
std::string model_page(const Portfolio& portfolio, const Model& model, const Figures* figures = nullptr);
std::string resources_page(const Portfolio& portfolio);
std::string delivery_page(const Portfolio& portfolio);
std::string compliance_page(const Portfolio& portfolio);
std::string activity_page(const Portfolio& portfolio);
// Something that is not there, or not for them: both look alike.
std::string missing_page();

// All of it in one document, to be mailed or put on a shelf.
std::string one_file(const Portfolio& portfolio, const std::function<Figures(const Model&)>& figures = {});

inline constexpr size_t kRowsPerPage = 100;
inline constexpr size_t kRowsInFile = 2000, kModelsInFile = 300;

}  // namespace mo::report
