// What an executor works with, and a client that does as it is told.
#pragma once

#include <string>
#include <vector>

#include "operator/runtime/controller.h"
#include "operator/runtime/executor.h"
#include "runtime_fake_client.h"

namespace mo {

struct ExecutorBench {
  FakeClient client;
  Stores stores;
  Ledger ledger;
  Refusals refusals;
  Executor executor{client, stores, ledger, refusals};
};

class NoAsker : public Asker {
 public:
  void ask(const ObjectKey&, std::vector<Ask> asks) override {
    for (auto& ask : asks) asked.push_back(ask.id);
  }
  std::vector<std::string> asked;
};

}  // namespace mo
