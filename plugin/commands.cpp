#include "plugin/commands.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <sstream>

#include "operator/kube/transport.h"
#include "plugin/approve.h"
#include "plugin/audit.h"
#include "plugin/backtest.h"
#include "plugin/complete.h"
#include "plugin/diff.h"
#include "plugin/evidence.h"
#include "plugin/fields.h"
#include "plugin/follow.h"
#include "plugin/inventory.h"
#include "plugin/lineage.h"
#include "plugin/lint.h"
#include "plugin/names.h"
#include "plugin/plan.h"
#include "plugin/policy_explain.h"
#include "plugin/portfolio.h"
#include "plugin/reproduce.h"
#include "plugin/rollouts.h"
#include "plugin/session.h"
#include "plugin/show.h"
#include "plugin/steer.h"
#include "plugin/words.h"
#include "report/tables.h"

namespace mo::plugin {
namespace {

TimePoint wall_now() { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

class Commands {
 public:
  explicit Commands(const Console& console) : console_(console) {
    app_.set_version_flag("--version", "kubectl-model " MODEL_OPERATOR_VERSION);
    app_.require_subcommand(1);
    add_showing();
    add_portfolio();
    add_steering();
    add_lineage();
    add_reproduce();
    add_backtest();
    add_files();
    add_plan();
    add_governance();
    add_audit();
  }

  int run(std::vector<std::string> args) {
    if (args.empty()) {
      console_.out << app_.help();
      return kTrouble;
    }
    args = verb_first(app_, std::move(args));
    if (!args[0].starts_with("-") && !verb_of(app_, args[0])) {
      console_.err << "error: unknown command: " << printable(args[0]) << "; see kubectl model --help\n";
      return kTrouble;
    }
    std::reverse(args.begin(), args.end());  // as CLI11 wants it
    try {
      app_.parse(args);
      set_request_timeout();
    } catch (const CLI::ParseError& e) {
      std::stringstream out, err;
      const int code = app_.exit(e, out, err);
      for (const auto& [from, to] : {std::pair(&out, &console_.out), std::pair(&err, &console_.err)})
        for (std::string line; std::getline(*from, line);) *to << printable(line) << "\n";
      return code == 0 ? kDone : kTrouble;
    }
    return chosen_();
  }

  int complete(const std::vector<std::string>& args) {
    const auto lookup = [this](const std::string& what, const CompletionContext& words) { return names_of(what, words); };
    for (const std::string& line : plugin::complete(app_, args, lookup)) console_.out << line << "\n";
    return kDone;
  }

 private:
  void set_request_timeout() {
    if (request_timeout_.empty()) return;
    const auto deadline = request_timeout(request_timeout_);
    if (!deadline)
      throw CLI::ValidationError("--request-timeout", request_timeout_ + " is not a duration such as 30s");
    cluster_.deadline = *deadline;
  }

  // Nothing if the cluster does not answer: a shell is waiting.
  std::vector<std::string> names_of(const std::string& what, const CompletionContext& words) {
    const ClusterOptions options{.kubeconfig = words.value("--kubeconfig"),
                                 .context = words.value("--context"),
                                 .ns = words.value("--namespace"),
                                 .as = words.value("--as"),
                                 .as_uid = words.value("--as-uid"),
                                 .as_groups = words.values("--as-group"),
                                 .deadline = std::chrono::seconds(3)};
    if (what == "contexts") return contexts(options);
    const auto cluster = connect(options);
    if (!cluster) return {};
    if (what == "namespaces") return namespaces(*cluster->client);
    Session session{*cluster->client, cluster->ns, console_.out, console_.err, wall_now};
    return objects_to_name(session, what, words);
  }

  static std::vector<std::string> objects_to_name(Session& session, const std::string& what, const CompletionContext& words) {
    kube::ListOptions of_model;
    const auto model = words.names.empty() ? Result<std::string>("") : name_as(Kind::Model, words.names.front());
    if (what != "models" && model && !model->empty()) of_model.field_selector = "spec.modelRef.name=" + *model;
    const Kind kind = what == "models"     ? Kind::Model
                      : what == "versions" ? Kind::ModelVersion
                      : what == "runs"     ? Kind::TrainingRun
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
    verb->add_option("-n,--namespace", cluster_.ns, "The namespace (default: that of the context)");
    verb->add_option("--context", cluster_.context, "The kubeconfig's context to use");
    verb->add_option("--kubeconfig", cluster_.kubeconfig, "The kubeconfig to use");
    verb->add_option("--as", cluster_.as, "The user to act as");
    verb->add_option("--as-group", cluster_.as_groups, "A group to act as; may be given more than once")
        ->allow_extra_args(false);
    verb->add_option("--as-uid", cluster_.as_uid, "The UID to act as");
    verb->add_option("--request-timeout", request_timeout_, "How long to wait for each answer: 30s, or 0 for ever");
  }

  // One, or several by name or by label.
  void takes_models(CLI::App* verb, Selection& selection, const std::string& what) {
    auto* names = verb->add_option("MODEL", selection.names, what);
    verb->add_option("-l,--selector", selection.selector, "Select by labels: team=payments,tier!=low")
        ->excludes(names);
  }
  static void require(const Selection& selection) {
    if (selection.names.empty() && selection.selector.empty()) throw CLI::RequiredError("MODEL or -l");
  }

  CLI::Option* takes_output(CLI::App* verb, std::string& output,
                            std::vector<std::string> formats = kOutputs) {
    return verb->add_option("-o,--output", output, "Print objects instead")
        ->check(CLI::IsMember(std::move(formats)));
  }

  int with_session(const std::function<int(Session&)>& act) {
    auto cluster = connect(cluster_);
    if (!cluster) {
      console_.err << "error: " << printable(cluster.error().message) << "\n";
      return kTrouble;
    }
    Session session{*cluster->client, cluster->ns, console_.out,     console_.err,
                    wall_now,         {},          console_.terminal};
    return act(session);
  }

  // And what asks web services that a person names.
  int with_web(const std::function<int(Session&, kube::HttpTransport&)>& act) {
    const auto http = kube::make_plain_curl_transport({.user_agent = "kubectl-model", .max_redirects = 0, .proxy_from_env = true, .ca_file = {}});
    return with_session([&](Session& s) { return act(s, *http); });
  }

  // ---- verbs that show ----

  void add_showing() {
    CLI::App* get = verb("get", "List Models");
    takes_models(get, getting_.selection, "Names of Models (default: all)");
    get->add_flag("-A,--all-namespaces", getting_.everywhere, "In all namespaces");
    get->add_flag("-w,--watch", getting_.watch, "Print each change");
    takes_cluster(get);
    takes_output(get, getting_.output, {"wide", "json", "yaml", "name"});
    get->callback([this] {
      if (getting_.everywhere && !getting_.selection.names.empty())
        throw CLI::ValidationError("-A", "a Model name cannot be combined with all namespaces");
      chosen_ = [this] { return with_session([this](Session& s) { return get_models(s, getting_); }); };
    });

    CLI::App* status = verb("status", "Show Models, their versions and rollouts as trees");
    takes_models(status, following_.selection, "Names of Models");
    auto* watch = status->add_flag("-w,--watch", following_.watch, "Follow until nothing is in progress");
    status->add_option("--timeout", timeout_, "Stop following after this time, such as 10m")->needs(watch);
    takes_cluster(status);
    takes_output(status, following_.output)->excludes(watch);
    status->callback([this] {
      require(following_.selection);
      if (!timeout_.empty()) {
        following_.timeout = parse_duration(timeout_);
        if (!following_.timeout)
          throw CLI::ValidationError("--timeout", timeout_ + " is not a duration such as 10m");
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

  void add_portfolio() {
    CLI::App* all = verb("inventory", "List Models with owner, stage and figures, findings, and model servers without a Model");
    all->add_flag("-A,--all-namespaces", inventory_.everywhere, "In all namespaces");
    all->add_option("-l,--selector", inventory_.selector, "Select by labels: team=payments,tier!=low");
    takes_cluster(all);
    all->add_option("-o,--output", inventory_.output, "wide: more columns. csv: one table. json: all of it. cyclonedx: an ML-BOM")
        ->check(CLI::IsMember({"wide", "csv", "json", "cyclonedx"}));
    all->add_option("--table", inventory_.table, "Which table -o csv prints")->check(CLI::IsMember(report::table_names()))->capture_default_str();
    takes_sources(*all, inventory_.asked);
    all->callback([this] { chosen_ = [this] { return with_web([this](Session& s, kube::HttpTransport& http) { return inventory(s, inventory_, http); }); }; });

    CLI::App* page = verb("report", "Write the inventory as one HTML file to read, mail or print");
    page->add_flag("-A,--all-namespaces", reporting_.everywhere, "Of all namespaces");
    takes_cluster(page);
    page->add_option("-o,--output", reporting_.output, "html, or json for scripts")->check(CLI::IsMember({"html", "json"}))->capture_default_str();
    takes_sources(*page, reporting_.asked);
    page->add_option("--span", reporting_.span, "How far back figures over time go, with --prometheus-url: 1d, 7d, 30d or 90d")
        ->check(CLI::IsMember({"1d", "7d", "30d", "90d"}))
        ->capture_default_str();
    page->callback([this] { chosen_ = [this] { return with_web([this](Session& s, kube::HttpTransport& http) { return plugin::report(s, reporting_, http); }); }; });
  }

  // ---- where versions came from ----

  void add_lineage() {
    CLI::App* runs = verb("runs", "List the training runs of a Model, newest first");
    runs->add_option("MODEL", running_.model, "The Model's name")->required();
    runs->add_option("RUN", running_.run, "One TrainingRun, with its stages and trials");
    takes_cluster(runs);
    takes_output(runs, running_.output);
    runs->callback([this] {
      chosen_ = [this] { return with_session([this](Session& s) { return plugin::runs(s, running_); }); };
    });

    CLI::App* lineage = verb("lineage", "Show the lineage of a version, back to its first parent");
    lineage->add_option("MODEL", tracing_.name, "A Model (its serving version), or a ModelVersion")->required();
    takes_cluster(lineage);
    takes_output(lineage, tracing_.output, {"json", "dot"});
    lineage->callback([this] {
      chosen_ = [this] { return with_session([this](Session& s) { return plugin::lineage(s, tracing_); }); };
    });

    CLI::App* diff = verb("diff", "Compare the spec of a Model with what serves, or artifact, parts, lineage and metrics of two ModelVersions. The exit code is 1 if they differ");
    diff->add_option("FROM", comparing_.from, "A Model, or a ModelVersion where a second one follows")->required();
    diff->add_option("TO", comparing_.to, "Another ModelVersion");
    takes_cluster(diff);
    takes_output(diff, comparing_.output, {"json"});
    diff->callback([this] {
      chosen_ = [this] {
        return with_session([this](Session& s) { return comparing_.to.empty() ? plugin::diff(s, comparing_.from) : diff_versions(s, comparing_); });
      };
    });
  }

  void add_reproduce() {
    CLI::App* again = verb("reproduce", "Reproduce a version with a TrainingRun of the same seed and parameters, and compare digest and metrics");
    again->add_option("VERSION", reproducing_.version, "The ModelVersion's name")->required();
    auto* run = again->add_option("--run", reproducing_.run, "Compare with this earlier TrainingRun; start none");
    auto* wait = again->add_flag("-w,--wait", reproducing_.wait, "Wait for the end of the run, then compare");
    again->add_option("--timeout", timeout_, "Stop waiting after this time, such as 10m")->needs(wait);
    again->add_option("--within", within_, "Largest difference at which metrics count as equal: 0.001");
    takes_cluster(again);
    takes_output(again, reproducing_.output, {"json"});
    again->add_option("--dry-run", dry_run_, "client: print what would be written. server: let the API server validate it")
        ->check(CLI::IsMember({"none", "client", "server"}))
        ->excludes(run)
        ->excludes(wait);
    again->callback([this] {
      if (!timeout_.empty() && !(reproducing_.timeout = parse_duration(timeout_)))
        throw CLI::ValidationError("--timeout", timeout_ + " is not a duration such as 10m");
      if (!within_.empty() && !(reproducing_.within = Decimal::parse(within_)))
        throw CLI::ValidationError("--within", within_ + " is not a decimal such as 0.001");
      reproducing_.only_show = dry_run_ == "client";
      reproducing_.dry_run = cluster_.dry_run = dry_run_ == "server";
      chosen_ = [this] { return with_session([this](Session& s) { return reproduce(s, reproducing_); }); };
    });
  }

  void add_backtest() {
    CLI::App* test = verb("backtest", "Evaluate gates and monitors on the history in Prometheus");
    auto* model = test->add_option("MODEL", backtesting_.model, "A Model of the cluster; or files by -f");
    takes_files(test, backtesting_.sources);
    for (const char* files : {"-f", "-k"}) test->get_option(files)->excludes(model);
    test->add_option("--since", backtesting_.since, "How far back: 30d, 12h")->capture_default_str();
    test->add_option("--step", backtesting_.step, "The time between two measurements (default: the interval of each figure, or longer for long ranges)");
    test->add_option("--prometheus-url", backtesting_.url, "Where Prometheus is: http://localhost:9090")->envname("PROMETHEUS_URL");
    test->add_option("--stable", backtesting_.stable, "The version for {{stable}} (default: what served at each time)");
    test->add_option("--candidate", backtesting_.candidate, "The version for {{candidate}} (default: what served at each time)");
    takes_cluster(test);
    takes_output(test, backtesting_.output, {"json"});
    test->callback([this] {
      const Sources& files = backtesting_.sources;
      if (backtesting_.model.empty() && files.names.empty() && files.kustomizations.empty()) throw CLI::RequiredError("MODEL or -f");
      backtesting_.ns_given = !cluster_.ns.empty();
      chosen_ = [this] { return with_web([this](Session& s, kube::HttpTransport& http) { return backtest(s, backtesting_, console_.in, http); }); };
    });
  }

  // ---- verbs on files ----

  void takes_files(CLI::App* verb, Sources& sources) {
    verb->add_option("-f,--filename", sources.names,
                     "A file, a folder (with all YAML and JSON below it), or - for standard input")
        ->allow_extra_args(false);
    verb->add_option("-k,--kustomize", sources.kustomizations, "A folder with a kustomization")
        ->allow_extra_args(false);
  }
  static void require(const Sources& sources) {
    if (sources.names.empty() && sources.kustomizations.empty()) throw CLI::RequiredError("-f or -k");
  }

  void add_files() {
    CLI::App* lint = verb("lint", "Check files against the CRDs and the operator's rules, without a cluster");
    takes_files(lint, linting_.sources);
    lint->add_flag("--strict", linting_.strict, "Also fail on warnings");
    lint->callback([this] {
      require(linting_.sources);
      chosen_ = [this] { return lint_files(linting_, console_.in, console_.out, console_.err); };
    });
  }

  void add_plan() {
    CLI::App* plan = verb("plan", "Show what the operator would do if files were applied; changes nothing");
    takes_files(plan, planned_.sources);
    takes_cluster(plan);
    plan->callback([this] {
      require(planned_.sources);
      planned_.ns_given = !cluster_.ns.empty();
      chosen_ = [this] {
        return with_session([this](Session& s) { return plan_files(s, planned_, console_.in); });
      };
    });
  }

  // ---- policies and approvals ----

  void add_governance() {
    for (const auto& [name, what] : {std::pair("approve", "Approve a rollout that waits for approval, after showing it"),
                                     std::pair("reject", "Reject a rollout that waits for approval; it ends as Failed")}) {
      CLI::App* sub = verb(name, what);
      sub->add_option("MODEL", approving_.model, "The Model's name")->required();
      sub->add_option("--role", approving_.role, "The role to approve for (default: the only missing one)");
      sub->add_option("--reason", approving_.reason, "Why");
      sub->add_option("--ticket", approving_.ticket, "The number of the change in another system, such as CHG-1234");
      sub->add_option("--rollout", approving_.rollout, "The ModelRollout, if there are several");
      takes_cluster(sub);
      takes_output(sub, approving_.output);
      sub->add_option("--dry-run", dry_run_, "client: print what would be approved. server: let the API server validate it")
          ->check(CLI::IsMember({"none", "client", "server"}));
      sub->callback([this, rejects = std::string(name) == "reject"] {
        approving_.approved = !rejects;
        approving_.only_show = dry_run_ == "client";
        cluster_.dry_run = dry_run_ == "server";
        chosen_ = [this] { return with_session([this](Session& s) { return approve(s, approving_); }); };
      });
    }
    CLI::App* policy = verb("policy", "Explain what each ModelPolicy requires of a Model, and what is missing");
    policy->add_option("ACTION", explain_, "The action: explain")->required()->check(CLI::IsMember({"explain"}));
    policy->add_option("MODEL", explained_, "The Model's name")->required();
    takes_cluster(policy);
    policy->callback([this] {
      chosen_ = [this] { return with_session([this](Session& s) { return explain_policies(s, explained_); }); };
    });
  }

  // ---- audit trails ----

  void takes_keys(CLI::App* verb, std::vector<std::string>& files, const std::string& what) {
    verb->add_option("--public-key", files, what)->allow_extra_args(false);
  }

  void add_audit() {
    CLI::App* audit = verb("audit", "Show the audit trail of a Model: decisions, actors and evidence");
    audit->add_option("MODEL", auditing_.model, "The Model's name; deleted Models work too")->required();
    auto* at = audit->add_option("--at", auditing_.at, "A time, 2026-11-30T12:00:00Z: show what served then, since when, why, and who decided");
    auto* checks = audit->add_flag("--verify", auditing_.verify, "Verify that the trail is complete: nothing cut, edited, reordered or replayed");
    takes_keys(audit, auditing_.public_keys, "With --verify: a file with a public key that signs the trail; may be given more than once");
    audit->add_option("--uid", auditing_.uid, "The UID of an earlier Model of that name");
    takes_cluster(audit);
    takes_output(audit, auditing_.output, {"json", "jsonl"})->excludes(at);
    at->excludes(checks);
    audit->callback([this] {
      if (!auditing_.public_keys.empty() && !auditing_.verify) throw CLI::RequiredError("--verify, which --public-key is for");
      chosen_ = [this] { return with_session([this](Session& s) { return audit_model(s, auditing_); }); };
    });

    CLI::App* evidence = verb("evidence", "Write the evidence of a rollout to one file: model card, lineage, policy, gates, approvals, audit trail");
    evidence->add_option("NAME", gathering_.name, "A ModelRollout, or a ModelVersion (its last rollout)")->required();
    evidence->add_option("-o,--output", gathering_.file, "The file to write, FILE.tar.gz")->required();
    takes_keys(evidence, gathering_.public_keys, "A file with the public key that signs the trail, to put into the pack");
    takes_cluster(evidence);
    evidence->callback([this] {
      chosen_ = [this] { return with_session([this](Session& s) { return gather_evidence(s, gathering_); }); };
    });

    CLI::App* verify = verb("verify", "Check a file of kubectl model evidence, without a cluster");
    verify->add_option("FILE", checking_.file, "The file")->required();
    takes_keys(verify, checking_.public_keys, "A file with a public key that signs the trail; may be given more than once");
    verify->callback([this] { chosen_ = [this] { return verify_evidence(checking_, console_.out, console_.err); }; });
  }

  // ---- verbs that change something ----

  CLI::App* steering(const std::string& name, const std::string& what, bool several) {
    CLI::App* sub = verb(name, what);
    if (several)
      takes_models(sub, steered_, "Names of Models");
    else
      sub->add_option("MODEL", steered_.names, "The Model's name")->required()->expected(1);
    takes_cluster(sub);
    takes_output(sub, steering_.output);
    sub->add_option("--dry-run", dry_run_, "client: print what would be written. server: let the API server validate it")
        ->check(CLI::IsMember({"none", "client", "server"}));
    sub->callback([this, name] {
      require(steered_);
      if (!steering_.rollout.empty() && (!steered_.selector.empty() || steered_.names.size() > 1))
        throw CLI::ValidationError("--rollout", "a ModelRollout belongs to one Model: name only that Model");
      steering_.verb = name;
      steering_.dry_run = dry_run_ == "client" ? DryRun::Client : dry_run_ == "server" ? DryRun::Server : DryRun::None;
      cluster_.dry_run = steering_.dry_run == DryRun::Server;
      chosen_ = [this] { return with_session([this](Session& s) { return steer_named(s); }); };
    });
    return sub;
  }

  int steer_named(Session& session) {
    for (const auto& [kind, name] : {std::pair(Kind::ModelRollout, &steering_.rollout), std::pair(Kind::ModelVersion, &steering_.to)}) {
      auto plain = name_as(kind, *name);
      if (!plain) return complain(session, plain.error());
      *name = std::move(*plain);
    }
    return steer_all(session, steering_, steered_);
  }

  void add_steering() {
    CLI::App* promote =
        steering("promote", "Skip the remaining steps and gates and send all traffic to the new version", true);
    CLI::App* pause = steering("pause", "Pause the rollout at its current step", true);
    CLI::App* resume = steering("resume", "Continue after a pause, or retry the step that paused the rollout", true);
    CLI::App* abort = steering("abort", "Return all traffic to the version that served before", true);
    CLI::App* rollback = steering(
        "rollback", "Abort the rollout in progress; without one, roll back at once to a version that served before", false);
    for (CLI::App* sub : {promote, pause, resume, abort, rollback})
      sub->add_option("--rollout", steering_.rollout, "The ModelRollout, if there are several");
    rollback->add_option("--to", steering_.to, "The ModelVersion to roll back to");
    rollback->add_flag("--force", steering_.force, "Allow a version that never passed a rollout");
    steering("retry", "Retry the last failed version with a new ModelRollout", false);
    steering("refresh", "Roll out the serving version again with the current Model and ModelRuntime", true);
    steering("retrain", "Start a training run now", true);
  }

  const Console& console_;
  CLI::App app_{"Shows and steers the rollouts of Models.", "kubectl model"};
  ClusterOptions cluster_;
  Getting getting_;
  Following following_;
  std::string timeout_;
  Past past_;
  Inventory inventory_;
  Reporting reporting_;
  Running running_;
  Tracing tracing_;
  Comparing comparing_;
  Reproducing reproducing_;
  std::string within_;
  Backtesting backtesting_;
  std::string request_timeout_;
  Linting linting_;
  Planned planned_;
  Selection steered_;
  Steering steering_;
  std::string dry_run_;
  Approving approving_;
  Auditing auditing_;
  Gathering gathering_;
  Checking checking_;
  std::string explain_, explained_;
  std::function<int()> chosen_;
};

}  // namespace

int run(const std::vector<std::string>& args, const Console& console) { return Commands(console).run(args); }

int run_completion(const std::vector<std::string>& args, const Console& console) {
  return Commands(console).complete(args);
}

}  // namespace mo::plugin
