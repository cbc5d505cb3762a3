// Runs that import a version from a registry in the place of training. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/api/run_result.h"
#include "operator/api/training_run.h"
#include "reconcilers/serving/render.h"

namespace mo::training {

// The parameter of a TrainingRun that names the version to import; without it the Job takes what the alias names by then.
inline constexpr const char* kVersionParameter = "mlflow_version";

// The trigger from whose registry a run of `trigger` imports; null: it trains. Without a template every run imports, from the
// first registry unless its trigger has one.
const api::Trigger* import_of(const api::Retraining& spec, const std::string& trigger);

// What counts of the spec for such a run: nothing varies, and another attempt would bring the same; the gates of retry.until
// hold.
api::Retraining for_import(const api::Retraining& spec);

// The version out of what a trigger found (evidence::version_of_alias).
std::string version_of(const std::string& found);

// A JobTemplateSpec of our own image. `metrics`: those that gates read.
RawJson import_template(const api::MlflowRegistry& from, const std::vector<std::string>& metrics,
                        const serving::Settings& settings);

// What that Job said. An artifact in the S3 store of the trigger is fetched with the Secret that the trigger
// names, and with none from anywhere else.
Result<api::RunResult> read_import(const api::MlflowRegistry& from, const std::string& text);

}  // namespace mo::training
