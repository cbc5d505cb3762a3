// Parts of pages.
#pragma once

#include "report/delivery.h"
#include "report/figures.h"
#include "report/html.h"
#include "report/portfolio.h"

namespace mo::report {

void put_heading(Html& html, const std::string& title, const std::string& lead);
// What could not be read: said at the top, so that nobody takes it for good news.
void put_gaps(Html& html, const Portfolio& portfolio);
// How to begin, where there is no Model yet.
void put_beginning(Html& html, const Portfolio& portfolio);
void put_tiles(Html& html, const Portfolio& portfolio);
void put_delivery_tiles(Html& html, const Delivery& delivery);
void put_needs(Html& html, const std::vector<Finding>& findings, size_t most, const Links& links, bool name_models);
void put_shares(Html& html, const Portfolio& portfolio);
void put_model(Html& html, const Model& model, const Portfolio& portfolio, const Links& links, const Figures* figures);

}  // namespace mo::report
