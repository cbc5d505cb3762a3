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
#include "plugin/schema.h"
#include "plugin/tree.h"
#include "reconcilers/model/observe.h"
#include "reconcilers/model/plan.h"
#include "reconcilers/rollout/policy.h"

namespace mo::plugin {
namespace {

constexpr const char* kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

using ObjectsByName = std::map<std::pair<std::string, std::string>, Json>;  // by kind and name

// Without what `file` leaves out of what the same person had written before; the rest belongs to others.
Json three_way(const Json& before, const Json& live, const Json& file) {
  if (!live.is_object() || !file.is_object()) return file;
  Json out = live;
  if (before.is_object())
    for (const auto& [key, value] : before.items())
      if (!file.contains(key)) out.erase(key);
  for (const auto& [key, value] : file.items())
    out[key] =
        live.contains(key)
            ? three_way(before.is_object() && before.contains(key) ? before[key] : Json(), live[key], value)
            : value;
  return out;
}

Json written_before(const Json& live) {
  const Json* annotations = field(live, "metadata.annotations");
  if (annotations && annotations->is_object() && annotations->contains(kLastApplied) &&
      (*annotations)[kLastApplied].is_string()) {
    const auto before = parse_json((*annotations)[kLastApplied].get_ref<const std::string&>(), 8u << 20);
    if (before && before->is_object()) return before->value("spec", Json());
  }
  // Applied by the API server, or never: taken as if all of it had been written, but for what scaling sets.
  Json spec = live.value("spec", Json::object());
  if (spec.is_object() && spec.contains("serving") && spec["serving"].is_object())
    spec["serving"].erase("replicas");
  return spec;
}

std::string in_short(const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  return text.size() > 100 ? text.substr(0, 97) + "..." : text;
}

// "/steps/3/weight" as ".steps[3].weight".
std::string dotted(Json::json_pointer pointer) {
  std::string path;
  for (; !pointer.empty(); pointer.pop_back()) {
    const std::string& part = pointer.back();
    const bool index = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    path.insert(0, index ? "[" + part + "]" : "." + part);
  }
  return path;
}

// "spec.version: fraud-v1 -> fraud-v2".
std::vector<std::string> differences(const Json& before, const Json& after) {
  std::vector<std::string> lines;
  for (const Json& change : Json::diff(before, after)) {
    const Json::json_pointer at(change["path"].get<std::string>());
    const std::string old = before.contains(at) ? in_short(before[at]) : "";
    const std::string path = "spec" + dotted(at);
    if (change["op"] == "remove")
      lines.push_back(path + ": " + old + " is removed");
    else if (change["op"] == "add" || old.empty())
      lines.push_back(path + ": " + in_short(change["value"]) + " is added");
    else
      lines.push_back(path + ": " + old + " -> " + in_short(change["value"]));
  }
  return lines;
}

template <class T>
Result<void> put(Store<T>& store, const Json& object) {
  auto parsed = api::parse<T>(object.dump());
  if (!parsed) return fail(parsed.error());
  store.upsert(std::move(*parsed));
  return {};
}

// What the operator watches, and into which store it goes: as operator/runtime/informers.cpp has it.
struct Watched {
  Kind kind;
  enum class Of { All, Ours, Names } of;
  Result<void> (*put)(Stores&, const Json&);
  bool optional = false;  // not in every cluster
};
const Watched kWatched[] = {
    {Kind::Model, Watched::Of::All, [](Stores& s, const Json& o) { return put(s.models, o); }},
    {Kind::ModelVersion, Watched::Of::All, [](Stores& s, const Json& o) { return put(s.versions, o); }},
    {Kind::ModelRollout, Watched::Of::All, [](Stores& s, const Json& o) { return put(s.rollouts, o); }},
    {Kind::ModelRuntime, Watched::Of::All, [](Stores& s, const Json& o) { return put(s.runtimes, o); }},
    {Kind::ModelGateSet, Watched::Of::All, [](Stores& s, const Json& o) { return put(s.gate_sets, o); }, true},
    {Kind::ClusterModelGateSet, Watched::Of::All,
     [](Stores& s, const Json& o) { return put(s.cluster_gate_sets, o); }, true},
    {Kind::Deployment, Watched::Of::Ours, [](Stores& s, const Json& o) { return put(s.deployments, o); }},
    {Kind::Service, Watched::Of::Ours, [](Stores& s, const Json& o) { return put(s.services, o); }},
    {Kind::HttpRoute, Watched::Of::Ours, [](Stores& s, const Json& o) { return put(s.routes, o); }, true},
    {Kind::EndpointSlice, Watched::Of::Ours, [](Stores& s, const Json& o) { return put(s.slices, o); }},
    {Kind::HorizontalPodAutoscaler, Watched::Of::Ours, [](Stores& s, const Json& o) { return put(s.autoscalers, o); }},
    {Kind::Job, Watched::Of::Ours, [](Stores& s, const Json& o) { return put(s.jobs, o); }},
    {Kind::Pod, Watched::Of::Ours, [](Stores& s, const Json& o) { return put(s.pods, o); }},
    {Kind::ConfigMap, Watched::Of::Names, [](Stores& s, const Json& o) { return put(s.configmaps, o); }},
};

// The operator's own image is in what it renders; it is known from what it has rendered before.
std::string fetch_image(const ObjectsByName& objects) {
  for (const auto& [id, object] : objects)
    if (id.first == "Deployment")
      for (const Json& container : items(object, "spec.template.spec.initContainers"))
        if (text(container, "name") == "modelops-fetch") return text(container, "image");
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
      return "say in status of " + a.target.to_string() + ": " + a.why;
    }
    std::string operator()(const SetFinalizers& a) const { return "set finalizers of " + a.target.to_string() + ": " + a.why; }
  };
  return std::visit(Words{}, action);
}

std::string describe_ask(const Ask& ask) {
  struct Words {
    std::string operator()(const AskPrometheus& a) const { return "ask Prometheus: " + a.query; }
    std::string operator()(const AskWeb& a) const { return "ask " + a.url + " for " + a.path; }
    std::string operator()(const AskGateways& a) const { return "ask the gateways for " + a.feature; }
    std::string operator()(const AskConfigMap& a) const {
      return "read ConfigMap " + a.configmap.to_string() + ", key " + a.key;
    }
    std::string operator()(const AskConfig& a) const { return "read ConfigMap " + a.configmap.to_string(); }
    std::string operator()(const AskRunResult& a) const {
      return "read the result of Job " + a.job.to_string();
    }
    std::string operator()(const AskAdopted& a) const {
      return "read Deployment " + a.deployment.to_string() + " and Service " + a.service.to_string() + ", to adopt them";
    }
  };
  return std::visit(Words{}, ask.question);
}

std::vector<std::string> describe_plan(const Plan& plan) {
  std::vector<std::string> lines;
  for (const Action& action : plan.actions) lines.push_back(describe_action(action));
  for (const Ask& ask : plan.asks) lines.push_back(describe_ask(ask));
  return lines;
}

class Planning {
 public:
  Planning(Session& session, const std::vector<std::string>& names, std::istream& in)
      : session_(session), names_(names), in_(in) {}

  int run() {
    auto files = read_files(names_, in_);
    if (!files) return complain(session_, files.error());
    if (const auto complaints = lint(*files); !complaints.empty()) return complain_of(complaints);
    for (const Found& found : files->ours)
      if (const auto ns = text(found.document.value, "metadata.namespace"); !ns.empty() && ns != session_.ns)
        return complain(session_, {ErrorKind::Invalid,
                                   found.file + ": " + name_of(found.document.value) + " is of namespace " +
                                       ns + ", and this looks at " + session_.ns + ": say -n " + ns,
                                   0,
                                   "",
                                   {}});
    if (const auto looked = look(); !looked) return complain(session_, looked.error());
    wanted_ = live_;
    for (const Found& found : files->ours) lay_over(found);
    if (!complaints_.empty()) return complain_of(complaints_);
    return tell();
  }

 private:
  int complain_of(const std::vector<Complaint>& complaints) {
    for (const Complaint& complaint : complaints) session_.err << complaint.to_string() << "\n";
    return kTrouble;
  }

  Result<void> look() {
    for (const Watched& watched : kWatched) {
      kube::ListOptions options;
      options.metadata_only = watched.of == Watched::Of::Names;
      if (watched.of == Watched::Of::Ours)
        options.label_selector = std::string(api::kLabelManagedBy) + "=" + api::kFieldManager;
      auto found = list(session_, watched.kind, options);
      if (!found && watched.optional && found.error().kind == ErrorKind::NotFound) continue;
      if (!found) return fail(found.error());
      for (Json& object : *found) {
        const std::string name = name_of(object);
        live_[{info(watched.kind).kind, name}] = std::move(object);
      }
    }
    return {};
  }

  void lay_over(const Found& found) {
    const Json& file = found.document.value;
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
      Json& meta = object["metadata"];
      if (crd.namespaced) meta["namespace"] = session_.ns;
      meta["uid"] = "planned-" + kind + "-" + name;
      meta["resourceVersion"] = "1";
      meta["generation"] = 1;
      meta["creationTimestamp"] = format_time(session_.now());
      if (const Json* fresh = field(crd.schema, "properties.status.default")) object["status"] = *fresh;
      changes_.emplace_back(who + " is created", std::vector<std::string>{});
    }
    wanted_[{kind, name}] = object;
    concern(kind, object);
  }

  void concern(const std::string& kind, const Json& object) {
    if (kind == "Model") concerned_.insert(name_of(object));
    if (const std::string model = text(object, "spec.modelRef.name"); !model.empty())
      concerned_.insert(model);
    for (const auto& [id, other] : live_)
      if (id.first == "Model" && (kind == "ModelRuntime" || uses(other, kind, name_of(object))))
        concerned_.insert(id.second);
  }

  static bool uses(const Json& model, const std::string& kind, const std::string& set) {
    const Json& named = items(model, "spec.rollout.gateSets");
    return std::any_of(named.begin(), named.end(), [&](const Json& one) {
      return text(one, "kind") == kind && text(one, "name") == set;
    });
  }

  Result<Observed> observed(const ObjectsByName& objects, const std::string& model) {
    Stores stores;
    for (const Watched& watched : kWatched)
      for (const auto& [id, object] : objects)
        if (id.first == info(watched.kind).kind)
          if (const auto done = watched.put(stores, object); !done) return fail(done.error());
    Ledger ledger;
    const AnswerBook answers;
    const Refusals refusals;
    return model::observe(stores, ledger, answers, refusals, {session_.ns, model});
  }

  Result<Plan> planned(const ObjectsByName& objects, const std::string& model) {
    const auto seen = observed(objects, model);
    if (!seen) return fail(seen.error());
    model::Settings settings{fetch_image(objects)};
    if (seen->model) settings.installation.operator_class = seen->model->operator_class;  // what the one that handles it would do
    return model::plan(*seen, session_.now(), settings);
  }

  int tell() {
    bool anything = !changes_.empty();
    for (const auto& [what, lines] : changes_) {
      session_.out << what << "\n";
      for (const std::string& line : lines) session_.out << "    " << printable(line) << "\n";
    }
    for (const std::string& model : concerned_) {
      const auto before = planned(live_, model), after = planned(wanted_, model);
      if (!before) return complain(session_, before.error());
      if (!after) return complain(session_, after.error());
      anything |= tell_plan(model, describe_plan(*before), *after);
    }
    if (!anything) {
      session_.out << "nothing to do\n";
      return kDone;
    }
    session_.out << "\nThis is the next thing the operator would do as things stand; what comes after "
                    "follows from what it then sees.\n";
    return kNo;
  }

  // Whether it does something that it would not do anyway.
  bool tell_plan(const std::string& model, std::vector<std::string> before, const Plan& plan) {
    const auto lines = describe_plan(plan);
    if (lines.empty()) return false;
    bool news = false;
    session_.out << "\nFor Model " << session_.ns << "/" << model << " the operator would then\n";
    for (size_t i = 0; i < lines.size(); ++i) {
      const auto it = std::find(before.begin(), before.end(), lines[i]);
      const bool anyway = it != before.end();
      if (anyway) before.erase(it);
      news |= !anyway;
      session_.out << "    " << i + 1 << ". " << printable(lines[i])
                   << (anyway ? " (also without these files)" : "") << "\n";
    }
    for (const Action& action : plan.actions) {
      if (const auto* write = std::get_if<WriteStatus>(&action)) tell_stall(*write);
      if (const auto* apply = std::get_if<Apply>(&action); apply && apply->target.kind == Kind::ModelRollout)
        if (const auto rollout = parse_json(apply->body, apply->body.size())) tell_steps(model, *rollout);
    }
    for (const auto& [id, object] : wanted_)
      if (id.first == "ModelRollout" && !live_.count(id) && text(object, "spec.modelRef.name") == model)
        tell_steps(model, object);
    return news;
  }

  void tell_stall(const WriteStatus& write) {
    const auto status = parse_json(write.status, write.status.size());
    if (!status) return;
    for (const Json& condition : items(*status, "conditions"))
      if (text(condition, "type") == "Stalled" && text(condition, "status") == "True")
        session_.out << "    ! " << write.target.to_string()
                     << " would be stalled: " << text(condition, "reason") << "\n";
  }

  void tell_steps(const std::string& model, const Json& rollout) {
    const auto it = wanted_.find({"Model", model});
    if (it == wanted_.end()) return;
    const Json none = Json::object();
    const Json* policy = field(it->second, "spec.rollout");
    const std::string from = text(it->second, "status.stableVersion");
    session_.out << "  ModelRollout " << name_of(rollout) << " would go "
                 << (from.empty() ? "to the first version " : "from " + from + " to ")
                 << text(rollout, "spec.version");
    if (text(rollout, "spec.desiredState") == "Promoted") {
      session_.out << " at once, without its steps\n";
      return;
    }
    session_.out << " by these steps"
                 << (from.empty() ? ", of which only gates on recorded metrics and by Job count" : "") << "\n";
    int i = 0;
    for (const std::string& step : steps_of(policy ? *policy : none))
      session_.out << "    " << ++i << " " << step << "\n";
    const auto seen = observed(wanted_, model);
    if (!seen || !seen->model) return;
    if (const auto why = rollout::resolve(*seen).rollouts; !why.reason.empty())
      session_.out << "    ! it would not start: " << printable(why.message) << "\n";
  }

  Session& session_;
  const std::vector<std::string>& names_;
  std::istream& in_;
  ObjectsByName live_, wanted_;
  std::vector<std::pair<std::string, std::vector<std::string>>> changes_;
  std::vector<Complaint> complaints_;
  std::set<std::string> concerned_;
};

}  // namespace

Json laid_over(const Json& live, const Json& file) {
  Json out = live;
  out["spec"] =
      three_way(written_before(live), live.value("spec", Json::object()), file.value("spec", Json::object()));
  for (const char* map : {"labels", "annotations"})
    if (const Json* added = field(file, std::string("metadata.") + map); added && added->is_object())
      for (const auto& [name, value] : added->items()) out["metadata"][map][name] = value;
  return out;
}

int plan_files(Session& session, const std::vector<std::string>& names, std::istream& in) {
  return Planning(session, names, in).run();
}

}  // namespace mo::plugin
