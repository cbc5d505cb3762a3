#include "plugin/commands.h"

#include <CLI/CLI.hpp>
#include <functional>

#include "plugin/session.h"
#include "plugin/show.h"
#include "plugin/steer.h"

namespace mo::plugin {
namespace {

TimePoint wall_now() { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

class Commands {
 public:
  Commands(std::istream& in, std::ostream& out, std::ostream& err, std::stop_token stop)
      : in_(in), out_(out), err_(err), stop_(std::move(stop)) {
    app_.set_version_flag("--version", "kubectl-model " MODEL_OPERATOR_VERSION);
    app_.require_subcommand(1);
    add_steering();
  }

  int run(std::vector<std::string> args) {
    if (args.empty()) {
      out_ << app_.help();
      return kTrouble;
    }
    std::reverse(args.begin(), args.end());  // as CLI11 wants it
    try {
      app_.parse(args);
    } catch (const CLI::ParseError& e) {
      return app_.exit(e, out_, err_) == 0 ? kDone : kTrouble;
    }
    return chosen_();
  }

 private:
  CLI::App* verb(const std::string& name, const std::string& what) { return app_.add_subcommand(name, what); }

  void takes_cluster(CLI::App* verb) {
    verb->add_option("-n,--namespace", cluster_.ns, "The namespace; by default that of the context");
    verb->add_option("--context", cluster_.context, "The kubeconfig's context to use");
    verb->add_option("--kubeconfig", cluster_.kubeconfig, "The kubeconfig to use");
    verb->add_option("--as", cluster_.as, "The user to act as");
  }

  void takes_output(CLI::App* verb, std::string& output, std::vector<std::string> formats = kOutputs) {
    verb->add_option("-o,--output", output, "Print objects instead")
        ->check(CLI::IsMember(std::move(formats)));
  }

  int with_session(const std::function<int(Session&)>& act) {
    auto cluster = connect(cluster_);
    if (!cluster) {
      err_ << "error: " << cluster.error().message << "\n";
      return kTrouble;
    }
    Session session{*cluster->client, cluster->ns, out_, err_, wall_now, stop_};
    return act(session);
  }

  // ---- verbs that change something ----

  CLI::App* steering(const std::string& name, const std::string& what) {
    CLI::App* sub = verb(name, what);
    sub->add_option("MODEL", steering_.model, "The Model's name")->required();
    takes_cluster(sub);
    takes_output(sub, steering_.output);
    sub->callback([this, name] {
      steering_.verb = name;
      chosen_ = [this] { return with_session([this](Session& s) { return steer(s, steering_); }); };
    });
    return sub;
  }

  void add_steering() {
    CLI::App* promote =
        steering("promote", "Skip the steps and gates that are left and give the new version all traffic");
    CLI::App* pause = steering("pause", "Hold the rollout where it is");
    CLI::App* resume = steering("resume", "Go on after a pause, or try a step again that paused by itself");
    CLI::App* abort = steering("abort", "Give all traffic back to the version that served before");
    CLI::App* rollback =
        steering("rollback", "Abort what is under way, else go back at once to a version that served before");
    for (CLI::App* sub : {promote, pause, resume, abort, rollback})
      sub->add_option("--rollout", steering_.rollout, "Which ModelRollout, where several could be meant");
    rollback->add_option("--to", steering_.to, "The ModelVersion to go back to");
    rollback->add_flag("--force", steering_.force, "Also to a version that never passed a rollout");
    steering("retry", "Try what failed last again, by a new ModelRollout");
    steering("retrain", "Ask for a training run now");
  }

  std::istream& in_;
  std::ostream& out_;
  std::ostream& err_;
  std::stop_token stop_;
  CLI::App app_{"Shows and steers the rollouts of Models.", "kubectl model"};
  ClusterOptions cluster_;
  Steering steering_;
  std::function<int()> chosen_;
};

}  // namespace

int run(const std::vector<std::string>& args, std::istream& in, std::ostream& out, std::ostream& err,
        std::stop_token stop) {
  return Commands(in, out, err, std::move(stop)).run(args);
}

}  // namespace mo::plugin
