// What spec.version or spec.artifact of a Model asks for. Pure.
#pragma once

#include <optional>
#include <string>

#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"

namespace mo::model {

// Its actions register an inline artifact; its asks find out what a tag stands for.
// problem_reason is VersionNotFound | VersionOfAnotherModel | VersionConflict | InvalidSpec | TagNotResolved, or ResolvingTag, which is no
// problem yet: it is on its way.
struct SpecVersion : Part {
  std::string name;                   // empty: the spec names none
  std::optional<api::Pinned> pinned;  // what status is to say of a tag
};

SpecVersion resolve_spec(const Observed& observed);

// What is observed with the ModelVersion that `spec` registers, as if it were there: one plan then registers it and serves it. Nothing
// if it registers none, or the API server has said no to it.
std::optional<Observed> with_registered(const Observed& observed, const SpecVersion& spec, TimePoint now);

// The Model with the digest that its status has on record in place of the tag of its artifact; itself where there is none.
Ref<api::Model> with_pinned(const Ref<api::Model>& model);

// Why the version is not of this Model; empty if it is.
std::string check_owner(const api::ModelVersion& version, const std::string& model);

}  // namespace mo::model
