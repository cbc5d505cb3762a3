#include "plugin/plan.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <set>

#include "operator/api/parse.h"
#include "operator/store/answers.h"
#include "operator/store/ledger.h"
#include "operator/store/refusals.h"
#include "operator/store/store.h"
#include "plugin/crds.h"
#include "plugin/fields.h"
#include "plugin/lint.h"
#include "plugin/monitor_changes.h"
#include "plugin/overlay.h"
#include "plugin/schema.h"
#include "plugin/stand_ins.h"
#include "plugin/tree.h"
#include "reconcilers/governance/explain.h"
#include "reconcilers/governance/policies.h"
#include "reconcilers/model/observe.h"
#include "reconcilers/model/plan.h"
#include "reconcilers/model/revisions.h"
#include "reconcilers/rollout/policy.h"

namespace mo::plugin {
namespace {

using ObjectsByName = std::map<std::pair<std::string, std::string>, Json>;  // by kind and name

template <class T>
Result<void> put(Store<T>& store, const Json& object) {
  auto parsed = api::parse<T>(object.dump());
  if (!parsed) return fail(parsed.error());
  store.upsert(std::move(*parsed));
  return {};
}

Result<void> put(Stores& stores, Kind kind, const Json& object) {
  Result<void> done;
  with_store(stores, kind, [&](auto& store) { done = put(store, object); });
  return done;
}

// A plan can be made without, if a person may not read them.
bool is_dispensable(Kind kind) { return !info(kind).namespaced || kind == Kind::HttpRoute || kind == Kind::ModelApproval; }

// The operator's own image is in what it renders; it is known from what it has rendered before.
std::string fetch_image(const ObjectsByName& objects) {
  for (const auto& [id, object] : objects)
    if (id.first == "Deployment")
      for (const Json& container : items(object, "spec.template.spec.initContainers"))
        if (text(container, "name").starts_with("modelops-fetch")) return text(container, "image");
  return "";
}

std::string describe_action(const Action& action) {
  struct Words {
    std::string operator()(const Apply& a) const {
      return (a.uid.empty() ? "create " : "change ") + a.target.to_string() + ": " + a.why;
    }
    std::string operator()(const Scale& a) const {
      return "scale " + a.target.to_string() + " to " + std::to_string(a.replicas) + ": " + a.why;
    }
    std::string operator()(const Delete& a) const { return "delete " + a.target.to_string() + ": " + a.why; }
    std::string operator()(const WriteStatus& a) const {
      return "write status of " + a.target.to_string() + ": " + a.why;
    }
    std::string operator()(const SetFinalizers& a) const { return "set finalizers of " + a.target.to_string() + ": " + a.why; }
  };
  return std::visit(Words{}, action);
}

std::string describe_ask(const Ask& ask) {
  struct Words {
    std::string operator()(const AskPrometheus& a) const { return "ask Prometheus: " + a.query; }
    std::string operator()(const AskWeb& a) const { return "ask " + a.url + " for " + a.path; }
    std::string operator()(const AskGateways& a) const { return "check the Gateways for " + a.feature; }
    std::string operator()(const AskOutside& a) const {
      return "check " + a.address + (a.model.empty() ? "" : ": alias " + a.alias + " of " + a.model);
    }
    std::string operator()(const AskConfigMap& a) const {
      return "read ConfigMap " + a.configmap.to_string() + ", key " + a.key;
    }
    std::string operator()(const AskConfig& a) const { return "read ConfigMap " + a.configmap.to_string(); }
    std::string operator()(const AskRunResult& a) const {
      return "read the result of Job " + a.job.to_string();
    }
    std::string operator()(const AskApprovals& a) const { return "read the ModelApprovals of ModelRollout " + a.rollout.to_string(); }
    std::string operator()(const AskQueue& a) const { return "ask Kueue why Job " + a.job.to_string() + " waits"; }
    std::string operator()(const AskWorkload& a) const { return "read " + a.kind + " " + a.ns + "/" + a.name; }
    std::string operator()(const AskAdopted& a) const {
      return "read Deployment " + a.deployment.to_string() + " and Service " + a.service.to_string() + ", to adopt them";
    }
  };
  return std::visit(Words{}, ask.question);
}

// What it would do to objects that exist is known only to those who may read what they are made from.
bool is_guess(const Action& action, const std::set<Kind>& unreadable) {
  const Apply* apply = std::get_if<Apply>(&action);
  if (!apply) return false;
  const Kind kind = apply->target.kind;
  return (kind == Kind::HttpRoute && unreadable.contains(kind)) ||
         (kind == Kind::Deployment && !apply->uid.empty() && unreadable.contains(Kind::ModelRuntime));
}

std::vector<std::string> describe_plan(const Plan& plan, const std::set<Kind>& unreadable) {
  std::vector<std::string> lines;
  for (const Action& action : plan.actions)
    if (!is_guess(action, unreadable)) lines.push_back(describe_action(action));
  for (const Ask& ask : plan.asks) lines.push_back(describe_ask(ask));
  return lines;
}

// A condition Stalled that is True: "VersionNotFound: ModelVersion m-v9 does not exist". Empty: it is not stalled.
std::string stall_in(const Json& status) {
  for (const Json& condition : items(status, "conditions"))
    if (text(condition, "type") == "Stalled" && text(condition, "status") == "True")
      return text(condition, "reason") + ": " + text(condition, "message");
  return "";
}

// The files' objects of one namespace, and those of none.
class Planning {
 public:
  Planning(Session session, std::vector<const Found*> ours, const std::vector<Found>& configmaps)
      : session_(std::move(session)), ours_(std::move(ours)), configmaps_(configmaps) {}

  int run() {
    if (const auto looked = look(); !looked) return complain(session_, looked.error());
    wanted_ = live_;
    for (const Found* found : ours_) lay_over(*found);
    for (const Found* found : ours_) concern(text(found->object(), "kind"), found->object());
    if (!complaints_.empty()) return complain_of(complaints_);
    for (const Found& found : configmaps_) lay_configmap(found.object());
    stand_in();
    const auto something = tell();
    if (!something) return complain(session_, something.error());
    return *something ? kNo : kDone;
  }

  // Some of it is not known, since kinds could not be read.
  bool is_partial() const { return partial_; }

  static int complain_of(Session& session, const std::vector<Complaint>& complaints) {
    for (const Complaint& complaint : complaints) session.err << complaint.to_string() << "\n";
    return kTrouble;
  }

 private:
  int complain_of(const std::vector<Complaint>& complaints) { return complain_of(session_, complaints); }
  void say(const std::string& line) { session_.out << printable(line) << "\n"; }

  Result<void> look() {
    for (const Kind kind : kStoredKinds) {
      if (kind == Kind::ModelAudit) continue;  // no plan of people's hangs on them
      if (kind == Kind::Namespace) {           // its own, if one may: only ModelPolicies that ask for its labels need it
        if (auto own = get(session_, kind, session_.ns)) live_[{info(kind).kind, session_.ns}] = with_kind(std::move(*own), kind);
        continue;
      }
      const KindInfo& about = info(kind);
      kube::ListOptions options;
      options.metadata_only = about.watched == Watched::Names;
      if (about.watched == Watched::Ours)
        options.label_selector = std::string(api::kLabelManagedBy) + "=" + api::kFieldManager;
      auto found = list(session_, kind, options);
      if (!found && about.present == Present::Maybe && found.error().kind == ErrorKind::NotFound) continue;
      if (!found && is_dispensable(kind) && found.error().kind == ErrorKind::Forbidden) {
        unreadable_.insert(kind);
        continue;
      }
      if (!found) return fail(found.error());
      for (Json& object : *found) {
        const std::string name = name_of(object);
        live_[{about.kind, name}] = std::move(object);
      }
    }
    return {};
  }

  void lay_over(const Found& found) {
    Json file = found.object();
    give_generated_name(file);
    const std::string kind = text(file, "kind"), name = name_of(file);
    const Crd& crd = *crd_of(kind);
    const std::string who = kind + " " + (crd.namespaced ? session_.ns + "/" : "") + name;
    const auto live = live_.find({kind, name});
    const bool there = live != live_.end();
    Json object = there ? laid_over(live->second, file) : file;
    const Json status = object.value("status", Json());
    for (const Mistake& mistake : check(crd, object, there ? &live->second : nullptr))
      complaints_.push_back({found.file, found.line(mistake.pointer), mistake.path, mistake.message});
    if (there) {
      object["status"] = status;
      const auto lines = differences(live->second.value("spec", Json()), object["spec"]);
      if (!lines.empty()) {
        object["metadata"]["generation"] = number(object, "metadata.generation") + 1;
        changes_.emplace_back(who + " is changed", lines);
      }
    } else {
      const bool unseen = std::any_of(unreadable_.begin(), unreadable_.end(),
                                      [&](Kind one) { return info(one).kind == kind; });
      make_new(object, crd);
      changes_.emplace_back(who + (unseen ? " is created or changed (you may not list its kind)" : " is created"),
                            std::vector<std::string>{});
    }
    wanted_[{kind, name}] = object;
  }

  void make_new(Json& object, const Crd& crd) const {
    Json& meta = object["metadata"];
    if (crd.namespaced) meta["namespace"] = session_.ns;
    meta["uid"] = "planned-" + crd.kind + "-" + name_of(object);
    meta["resourceVersion"] = "1";
    meta["generation"] = 1;
    meta["creationTimestamp"] = format_time(session_.now());
    if (const Json* fresh = field(crd.schema, "properties.status.default")) object["status"] = *fresh;
  }

  // Only that there is one: what it holds is not looked at.
  void lay_configmap(const Json& file) {
    const std::string ns = text(file, "metadata.namespace"), name = name_of(file);
    const auto id = std::pair(std::string("ConfigMap"), name);
    if (name.empty() || (!ns.empty() && ns != session_.ns) || wanted_.contains(id)) return;
    wanted_[id] = {{"metadata",
                    {{"name", name}, {"namespace", session_.ns}, {"uid", "planned-" + name}, {"resourceVersion", "1"}}}};
  }

  void concern(const std::string& kind, const Json& object) {
    const std::string model = kind == "Model" ? name_of(object) : text(object, "spec.modelRef.name");
    if (!model.empty()) {
      concerned_.insert(model);
      named_.insert(model);
      return;
    }
    bool used = false;
    for (const auto& [id, other] : wanted_)
      if (id.first == "Model" && (kind == "ModelRuntime" || uses(other, kind, name_of(object)) || governs(object, other))) {
        concerned_.insert(id.second);
        used = true;
      }
    if (!used) unused_.push_back(kind + " " + name_of(object));
  }

  static bool uses(const Json& model, const std::string& kind, const std::string& set) {
    for (const char* list : {"spec.rollout.gateSets", "spec.monitorSets"}) {
      const Json& named = items(model, list);
      if (std::any_of(named.begin(), named.end(), [&](const Json& one) { return text(one, "kind") == kind && text(one, "name") == set; }))
        return true;
    }
    return false;
  }

  static bool governs(const Json& object, const Json& model) {
    if (text(object, "kind") != info(Kind::ModelPolicy).kind) return false;
    const auto policy = api::parse<api::ModelPolicy>(object.dump());
    const auto of = api::parse<api::Model>(model.dump());
    return policy && of && governance::applies(*policy, *of);
  }

  // Before and after alike, so that what is told is what the files change.
  void stand_in() {
    const auto all = [&](const char* kind) {
      std::vector<Json> found;
      for (const auto& [id, object] : wanted_)
        if (id.first == kind) found.push_back(object);
      return found;
    };
    std::vector<Json> made;
    if (unreadable_.contains(Kind::ModelRuntime)) made = stand_in_runtimes(all("Model"), all("ModelVersion"));
    if (unreadable_.contains(Kind::ClusterModelGateSet))
      for (Json& set : stand_in_gate_sets(all("Model"))) made.push_back(std::move(set));
    for (const Json& object : made)
      for (ObjectsByName* objects : {&live_, &wanted_})
        objects->try_emplace({text(object, "kind"), name_of(object)}, object);
  }

  Result<Observed> observed(const ObjectsByName& objects, const std::string& model) {
    Stores stores;
    for (const Kind kind : kStoredKinds)
      for (const auto& [id, object] : objects)
        if (id.first == info(kind).kind)
          if (const auto done = put(stores, kind, object); !done) return fail(done.error());
    Ledger ledger;
    const AnswerBook answers;
    const Refusals refusals;
    return model::observe(stores, ledger, answers, refusals, {session_.ns, model});
  }

  Result<Plan> planned(const ObjectsByName& objects, const std::string& model) {
    const auto seen = observed(objects, model);
    if (!seen) return fail(seen.error());
    model::Settings settings{fetch_image(objects)};
    settings.audit.on = false;  // records are of what happens
    if (seen->model) settings.installation.operator_class = seen->model->operator_class;  // what the one that handles it would do
    return model::plan(*seen, session_.now(), settings);
  }

  // Whether there is anything to tell.
  Result<bool> tell() {
    bool anything = !changes_.empty();
    for (const auto& [what, lines] : changes_) {
      say(what);
      for (const std::string& line : lines) say("    " + line);
    }
    for (const std::string& one : unused_) say("! no Model of namespace " + session_.ns + " uses " + one);
    for (const std::string& model : concerned_) {
      if (!wanted_.contains({"Model", model})) {
        say("! Model " + session_.ns + "/" + model + " does not exist: nothing happens until it is created");
        anything = true;
        continue;
      }
      const auto before = planned(live_, model), after = planned(wanted_, model);
      if (!before) return fail(before.error());
      if (!after) return fail(after.error());
      const bool news = tell_plan(model, describe_plan(*before, unreadable_), *after);
      anything |= news | tell_monitors(model) | tell_stall(model, *after);
      if (!describe_plan(*after, unreadable_).empty()) tell_unreadable(model);
    }
    return anything;
  }

  // Whether it does something that it would not do anyway.
  bool tell_plan(const std::string& model, std::vector<std::string> before, const Plan& plan) {
    const auto lines = describe_plan(plan, unreadable_);
    if (lines.empty()) return false;
    bool news = false;
    say("");
    say("For Model " + session_.ns + "/" + model + " the operator would:");
    for (size_t i = 0; i < lines.size(); ++i) {
      const auto it = std::find(before.begin(), before.end(), lines[i]);
      const bool anyway = it != before.end();
      if (anyway) before.erase(it);
      news |= !anyway;
      say("    " + std::to_string(i + 1) + ". " + lines[i] + (anyway ? " (even without these files)" : ""));
    }
    for (const Action& action : plan.actions)
      if (const auto* apply = std::get_if<Apply>(&action); apply && apply->target.kind == Kind::ModelRollout)
        if (const auto rollout = parse_json(apply->body, apply->body.size())) tell_steps(model, *rollout);
    for (const auto& [id, object] : wanted_)
      if (id.first == "ModelRollout" && !live_.count(id) && text(object, "spec.modelRef.name") == model)
        tell_steps(model, object);
    return news;
  }

  // Whether others are watched than before.
  bool tell_monitors(const std::string& model) {
    const auto before = observed(live_, model), after = observed(wanted_, model);
    if (!before || !after || !after->model || unreadable_.contains(Kind::ClusterModelGateSet)) return false;
    const auto lines = monitor_changes(*before, *after);
    for (const std::string& line : lines) say("    " + line);
    return !lines.empty();
  }

  // Whether the Model of a file is stalled, by what the files hold or before.
  bool tell_stall(const std::string& model, const Plan& plan) {
    const ObjectRef ref{Kind::Model, {session_.ns, model}};
    Json status = wanted_[{"Model", model}].value("status", Json());
    bool written = false;
    for (const Action& action : plan.actions) {
      const auto* write = std::get_if<WriteStatus>(&action);
      if (!write) continue;
      const auto read = parse_json(write->status, write->status.size());
      if (!read) continue;
      if (write->target == ref) {
        status = *read;
        written = true;
      } else if (const std::string why = stall_in(*read); !why.empty()) {
        say("    ! " + write->target.to_string() + " would be stalled: " + why);
      }
    }
    const std::string why = stall_in(status);
    if (why.empty() || !(written || named_.contains(model))) return false;
    say((written ? "    ! " : "! ") + ref.to_string() + (written ? " would be stalled: " : " stays stalled: ") + why);
    return true;
  }

  void tell_unreadable(const std::string& model) {
    for (const Kind kind : unreadable_) {
      if (!needs(wanted_[{"Model", model}], kind)) continue;
      partial_ = true;
      say(std::string("    ? you may not list ") + info(kind).plural + ": " +
          (kind == Kind::ModelRuntime          ? "changes of existing Deployments are left out"
           : kind == Kind::ClusterModelGateSet ? "its gates are assumed to be defined there"
           : kind == Kind::ModelPolicy         ? "what they require is left out"
           : kind == Kind::ModelApproval       ? "approvals are left out"
                                               : "changes of the route are left out"));
    }
  }

  void tell_steps(const std::string& model, const Json& rollout) {
    const Json& wanted = wanted_[{"Model", model}];
    const Json none = Json::object();
    const Json* policy = field(wanted, "spec.rollout");
    const std::string from = text(wanted, "status.stableVersion");
    const std::string way = "  ModelRollout " + name_of(rollout) + " would go " +
                            (from.empty() ? "to the first version " : "from " + from + " to ") +
                            text(rollout, "spec.version") + (from == text(rollout, "spec.version") ? " with the current Model and ModelRuntime" : "");
    if (text(rollout, "spec.desiredState") == "Promoted") return say(way + " at once, without its steps");
    say(way + " by these steps" + (from.empty() ? ", of which only gates on recorded metrics and by Job count" : ""));
    int i = 0;
    for (const std::string& step : steps_of(policy ? *policy : none)) say("    " + std::to_string(++i) + " " + step);
    const auto seen = observed(wanted_, model);
    if (!seen || !seen->model) return;
    if (const auto why = rollout::resolve(*seen).rollouts; !why.reason.empty())
      say("    ! it would not start: " + why.message);
    tell_policies(*seen, rollout);
  }

  // What ModelPolicies make of it.
  void tell_policies(const Observed& seen, const Json& rollout) {
    const auto parsed = api::parse<api::ModelRollout>(rollout.dump());
    if (!parsed || seen.policies.empty()) return;
    const std::string revision = parsed->revision.empty() ? model::asked_revision(seen, parsed->version).value_or("") : parsed->revision;
    if (const auto held = governance::holds(seen, *parsed, revision, session_.now()); !held.waiting.reason.empty())
      say(std::string(held.waiting.stalled ? "    ! it would not start: " : "    it would wait: ") + held.waiting.message);
    for (const std::string& line : governance::demands(seen, session_.now())) say("    " + line);
  }

  Session session_;
  const std::vector<const Found*> ours_;
  const std::vector<Found>& configmaps_;
  ObjectsByName live_, wanted_;
  std::set<Kind> unreadable_;
  std::vector<std::pair<std::string, std::vector<std::string>>> changes_;
  std::vector<Complaint> complaints_;
  std::set<std::string> concerned_, named_;  // Models; named_: those that the files name
  std::vector<std::string> unused_;
  bool partial_ = false;
};

bool is_namespaced(const Found& found) { return crd_of(text(found.object(), "kind"))->namespaced; }

// As kubectl apply takes it: what a file says, else the one of the command.
Result<std::string> namespace_of(const Found& found, const std::string& given, bool ns_given) {
  const std::string ns = text(found.object(), "metadata.namespace");
  if (ns.empty()) return given;
  if (ns_given && ns != given)
    return fail(ErrorKind::Invalid, found.file + ":" + std::to_string(found.line("/metadata/namespace")) +
                                        ": namespace \"" + ns + "\" of " + text(found.object(), "kind") + " " +
                                        name_of(found.object()) + " differs from -n " + given + ": use -n " + ns);
  return ns;
}

// What goes into one plan each. Objects of no namespace go into all.
Result<std::map<std::string, std::vector<const Found*>>> by_namespace(const std::vector<Found>& ours,
                                                                      const std::string& given, bool ns_given) {
  std::map<std::string, std::vector<const Found*>> all;
  for (const Found& found : ours) {
    if (!is_namespaced(found)) continue;
    const auto ns = namespace_of(found, given, ns_given);
    if (!ns) return fail(ns.error());
    all[*ns];
  }
  if (all.empty()) all[given];
  for (const Found& found : ours)
    for (auto& [ns, objects] : all)
      if (!is_namespaced(found) || *namespace_of(found, given, ns_given) == ns) objects.push_back(&found);
  return all;
}

}  // namespace

int plan_files(Session& session, const Planned& planned, std::istream& in) {
  const auto files = read_files(planned.sources, in);
  if (!files) return complain(session, files.error());
  auto complaints = lint(*files);
  std::erase_if(complaints, [](const Complaint& one) { return one.warning; });
  if (!complaints.empty()) return Planning::complain_of(session, complaints);
  if (files->ours.empty())
    return complain(session, {ErrorKind::Invalid, "the files contain no object of modelops.dev to plan for",
                              0, {}, {}});
  const auto namespaces = by_namespace(files->ours, session.ns, planned.ns_given);
  if (!namespaces) return complain(session, namespaces.error());
  int code = kDone;
  bool partial = false;
  for (const auto& [ns, objects] : *namespaces) {
    Session here = session;
    here.ns = ns;
    Planning planning(here, objects, files->configmaps);
    code = worse(code, planning.run());
    partial |= planning.is_partial();
  }
  if (code == kDone) session.out << "nothing to do\n";
  if (code == kNo)
    session.out << "\nThis is the next thing the operator would do as things stand; what comes after "
                   "follows from what it then sees.\n";
  if (partial)
    session.err << "For the whole plan you need the ClusterRole model-operator-planner: see docs/plugin.md, \"Rights\".\n";
  return code;
}

}  // namespace mo::plugin
