// Who counts as the author of what a rollout brings.
#include <catch2/catch.hpp>

#include "reconcilers/governance/authors.h"

using namespace mo;
using namespace mo::governance;
using Names = std::vector<std::string>;

namespace {

// A Model whose spec somebody changes, edit by edit.
struct Edits {
  api::Model model;
  api::ModelStatus status;

  void by(const std::string& who) {
    ++model.meta.generation;
    model.about.changed_by = who;
    note_author(model, status);
    status.observed_generation = model.meta.generation;
  }
};

}  // namespace

TEST_CASE("authors add up, once each, and a change that nobody signed stays one", "[governance]") {
  Edits edits;
  edits.by("ann");
  edits.by("bob");
  edits.by("ann");
  CHECK(edits.status.spec_authors == Names{"ann", "bob"});
  note_author(edits.model, edits.status);  // the same spec once more
  edits.by("");
  edits.by("cat");
  CHECK(edits.status.spec_authors == Names{"ann", "bob", "", "cat"});
  for (int i = 0; i < 100; ++i) edits.by("n" + std::to_string(i));
  CHECK(edits.status.spec_authors.size() == 16);
}

TEST_CASE("everybody who had a hand in it is an author of a rollout", "[governance]") {
  auto model = std::make_shared<api::Model>();
  auto version = std::make_shared<api::ModelVersion>();
  version->meta.key.name = "m-v2";
  version->changed_by = "dev";
  Observed o;
  o.model = model;
  o.versions = {version};
  o.named["m-v2"] = version;
  api::ModelStatus status;
  api::ModelRollout r;
  r.version = "m-v2";
  r.origin = "spec";
  api::GovernanceRecord record;
  record.separate_author = true;
  status.spec_authors = {"ann", "bob"};
  CHECK(authors_of(o, status, r, record) == Names{"ann", "bob", "dev"});
  r.origin = "retraining";
  version->changed_by = api::kOperatorAuthor;
  CHECK(authors_of(o, status, r, record) == Names{"ann", "bob", "model-operator"});
  r.origin = "";
  r.changed_by = "eve";
  version->changed_by = "dev";
  CHECK(authors_of(o, status, r, record) == Names{"ann", "bob", "eve", "dev"});
  r.changed_by = "";
  CHECK(authors_of(o, status, r, record).empty());
  r.changed_by = "eve";
  version->changed_by = "";
  CHECK(authors_of(o, status, r, record).empty());
  version->changed_by = "dev";
  status.spec_authors = {"ann", ""};
  CHECK(authors_of(o, status, r, record).empty());
  record.separate_author = false;
  record.separate_trainer = true;
  CHECK(authors_of(o, status, r, record) == Names{"dev"});
}
