#include "plugin/commands.h"

#include <CLI/CLI.hpp>
#include <functional>

#include "plugin/complete.h"
#include "plugin/fields.h"
#include "plugin/follow.h"
#include "plugin/inventory.h"
#include "plugin/lint.h"
#include "plugin/plan.h"
#include "plugin/rollouts.h"
#include "plugin/session.h"
#include "plugin/show.h"
#include "plugin/steer.h"

namespace mo::plugin {
namespace {

TimePoint wall_now() { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

class Commands {
 public:
  explicit Commands(const Console& console) : console_(console) {
    app_.set_version_flag("--version", "kubectl-model " MODEL_OPERATOR_VERSION);
    app_.require_subcommand(1);
    add_showing();
    add_steering();
    add_files();
    add_plan();
  }

  int run(std::vector<std::string> args) {
    if (args.empty()) {
      console_.out << app_.help();
      return kTrouble;
    }
    if (!args[0].starts_with("-") && !verb_of(app_, args[0])) {
      console_.err << "error: no such verb: " << args[0] << "; kubectl model --help lists them\n";
      return kTrouble;
    }
    std::reverse(args.begin(), args.end());  // as CLI11 wants it
    try {
      app_.parse(args);
    } catch (const CLI::ParseError& e) {
      return app_.exit(e, console_.out, console_.err) == 0 ? kDone : kTrouble;
    }
    return chosen_();
  }

  int complete(const std::vector<std::string>& args) {
    const auto lookup = [this](const std::string& what, const Words& words) { return names_of(what, words); };
    for (const std::string& line : plugin::complete(app_, args, lookup)) console_.out << line << "\n";
    return kDone;
  }

 private:
  // Nothing if the cluster does not answer: a shell is waiting.
  std::vector<std::string> names_of(const std::string& what, const Words& words) {
    const auto cluster = connect({.kubeconfig = words.value("--kubeconfig"),
                                  .context = words.value("--context"),
                                  .ns = words.value("--namespace"),
                                  .as = words.value("--as"),
                                  .deadline = std::chrono::seconds(3)});
    if (!cluster) return {};
    Session session{*cluster->client, cluster->ns, console_.out, console_.err, wall_now};
    kube::ListOptions of_model;
    if (what != "models" && !words.names.empty())
      of_model.field_selector = "spec.modelRef.name=" + words.names.front();
    const Kind kind = what == "models"     ? Kind::Model
                      : what == "versions" ? Kind::ModelVersion
                                           : Kind::ModelRollout;
    const auto found = list(session, kind, of_model);
    if (!found) return {};
    std::vector<std::string> names;
    for (const Json& object : *found)
      if (kind != Kind::ModelRollout || !over(object)) names.push_back(name_of(object));
    return names;
  }

  CLI::App* verb(const std::string& name, const std::string& what) { return app_.add_subcommand(name, what); }

  void takes_cluster(CLI::App* verb) {
    verb->add_option("-n,--namespace", cluster_.ns, "The namespace; by default that of the context");
    verb->add_option("--context", cluster_.context, "The kubeconfig's context to use");
    verb->add_option("--kubeconfig", cluster_.kubeconfig, "The kubeconfig to use");
    verb->add_option("--as", cluster_.as, "The user to act as");
  }

  CLI::Option* takes_output(CLI::App* verb, std::string& output,
                            std::vector<std::string> formats = kOutputs) {
    return verb->add_option("-o,--output", output, "Print objects instead")
        ->check(CLI::IsMember(std::move(formats)));
  }

  int with_session(const std::function<int(Session&)>& act) {
    auto cluster = connect(cluster_);
    if (!cluster) {
      console_.err << "error: " << cluster.error().message << "\n";
      return kTrouble;
    }
    Session session{*cluster->client, cluster->ns, console_.out,     console_.err,
                    wall_now,         {},          console_.terminal};
    return act(session);
  }

  // ---- verbs that show ----

  void add_showing() {
    CLI::App* get = verb("get", "List Models");
    get->add_option("MODEL", getting_.models, "Names of Models; by default all");
    get->add_flag("-A,--all-namespaces", getting_.everywhere, "In all namespaces");
    takes_cluster(get);
    takes_output(get, getting_.output, {"wide", "json", "yaml", "name"});
    get->callback([this] {
      if (getting_.everywhere && !getting_.models.empty())
        throw CLI::ValidationError("-A", "a Model cannot be named by its name across all namespaces");
      chosen_ = [this] { return with_session([this](Session& s) { return get_models(s, getting_); }); };
    });

    CLI::App* status = verb("status", "Show a Model, its versions and its rollout as a tree");
    status->add_option("MODEL", following_.model, "The Model's name")->required();
    auto* watch = status->add_flag("-w,--watch", following_.watch, "Follow until nothing is on its way");
    status->add_option("--timeout", timeout_, "Give up following after that time, such as 10m")->needs(watch);
    takes_cluster(status);
    takes_output(status, following_.output)->excludes(watch);
    status->callback([this] {
      if (!timeout_.empty()) {
        following_.timeout = parse_duration(timeout_);
        if (!following_.timeout)
          throw CLI::ValidationError("--timeout", timeout_ + " is no duration such as 10m");
      }
      chosen_ = [this] { return with_session([this](Session& s) { return plugin::status(s, following_); }); };
    });

    CLI::App* past = verb("history", "List the rollouts of a Model, newest first");
    past->add_option("MODEL", past_.model, "The Model's name")->required();
    takes_cluster(past);
    takes_output(past, past_.output);
    past->callback([this] {
      chosen_ = [this] { return with_session([this](Session& s) { return history(s, past_); }); };
    });
  }

  // ---- verbs on files ----

  void takes_files(CLI::App* verb) {
    verb->add_option("-f,--filename", files_,
                     "A file, a folder (with all YAML and JSON below it), or - for standard input")
        ->required()
        ->allow_extra_args(false);
  }

  void add_files() {
    CLI::App* lint = verb("lint", "Check files against the CRDs and the operator's rules, without a cluster");
    takes_files(lint);
    lint->callback(
        [this] { chosen_ = [this] { return lint_files(files_, console_.in, console_.out, console_.err); }; });
  }

  void add_plan() {
    CLI::App* plan = verb("plan", "Say what the operator would do if files were applied; nothing is changed");
    takes_files(plan);
    takes_cluster(plan);
    plan->callback([this] {
      chosen_ = [this] {
        return with_session([this](Session& s) { return plan_files(s, files_, console_.in); });
      };
    });
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

  const Console& console_;
  CLI::App app_{"Shows and steers the rollouts of Models.", "kubectl model"};
  ClusterOptions cluster_;
  Getting getting_;
  Following following_;
  std::string timeout_;
  Past past_;
  std::vector<std::string> files_;
  Steering steering_;
  std::function<int()> chosen_;
};

}  // namespace

int run(const std::vector<std::string>& args, const Console& console) { return Commands(console).run(args); }

int run_completion(const std::vector<std::string>& args, const Console& console) {
  return Commands(console).complete(args);
}

}  // namespace mo::plugin
