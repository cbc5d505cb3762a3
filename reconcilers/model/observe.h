// Takes the snapshot that a plan is made from.
#pragma once

#include "operator/store/answers.h"
#include "operator/store/ledger.h"
#include "operator/store/refusals.h"
#include "operator/store/store.h"
#include "reconcilers/common/observed.h"

namespace mo::model {

Observed observe(const Stores& stores, Ledger& ledger, const AnswerBook& answers, const Refusals& refusals,
                 const ObjectKey& key);

}  // namespace mo::model
