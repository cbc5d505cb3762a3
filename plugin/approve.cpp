#include "plugin/approve.h"

#include "plugin/fields.h"
#include "plugin/names.h"
#include "plugin/rollouts.h"
#include "plugin/show.h"

namespace mo::plugin {
namespace {

constexpr size_t kLongestName = 253, kSubjectShown = 12;

std::string missing_roles(const Json& approval) {
  std::string roles;
  for (const Json& role : items(approval, "roles"))
    if (number(role, "given") < number(role, "count"))
      roles += (roles.empty() ? "" : ", ") + text(role, "role") + " (" + text(role, "given") + " of " + text(role, "count") + ")";
  return roles;
}

Result<std::string> role_of(const Approving& approving, const Json& approval) {
  std::string only;
  int missing = 0;
  for (const Json& role : items(approval, "roles")) {
    if (text(role, "role") == approving.role) return approving.role;
    if (number(role, "given") < number(role, "count")) only = text(role, "role"), ++missing;
  }
  if (!approving.role.empty()) return refuse("role " + approving.role + " is not required; missing: " + missing_roles(approval));
  if (missing != 1) return refuse("set --role to one of the missing roles: " + missing_roles(approval));
  return only;
}

}  // namespace

std::vector<std::string> subject_lines(const Json& rollout, const Json& version) {
  std::vector<std::string> lines = {
      title(rollout) + " waits for approval before " +
      (text(rollout, "status.approval.before") == "FullTraffic" ? "all traffic" : "the first request")};
  const auto add = [&](const std::string& what, const std::string& value) {
    if (!value.empty()) lines.push_back("  " + what + ": " + value);
  };
  add("artifact", text(version, "spec.artifact.uri"));
  for (const Json& part : items(version, "spec.parts"))
    add("part " + text(part, "name"), text(part, "artifact.uri") + ", " + text(part, "artifact.digest"));
  add("digest", text(rollout, "status.digest"));
  add("code", text(version, "spec.lineage.code.revision"));
  add("trained by", text(version, "spec.lineage.run.name"));
  std::string authors;
  for (const Json& author : items(rollout, "status.governance.authors"))
    authors += (authors.empty() ? "" : ", ") + (author.is_string() ? author.get<std::string>() : "");
  add("written by", authors);
  for (const Json& policy : items(rollout, "status.governance.policies"))
    add("policy", text(policy, "name") + ", generation " + text(policy, "generation"));
  for (const Json& gate : items(rollout, "status.gates"))
    add("gate " + text(gate, "name"),
        text(gate, "verdict") + (text(gate, "value").empty() ? "" : ", " + text(gate, "value")) +
            (text(gate, "stableValue").empty() ? "" : " (stable: " + text(gate, "stableValue") + ")"));
  add("missing", missing_roles(rollout.value("status", Json::object()).value("approval", Json::object())));
  add("subject", text(rollout, "status.approval.subject"));
  return lines;
}

Result<Json> approval_of(const Approving& approving, const Json& rollout, const std::string& user) {
  const Json* approval = field(rollout, "status.approval");
  if (!approval)
    return refuse(title(rollout) + " does not wait for an approval: " + text(rollout, "status.message") +
                  "; run kubectl model abort to end it");
  if (text(*approval, "reason") == "AuthorUnknown") return refuse(title(rollout) + ": " + text(rollout, "status.message"));
  const auto role = role_of(approving, *approval);
  if (!role) return fail(role.error());
  const std::string subject = text(*approval, "subject");
  std::string name =
      name_of(rollout) + "-" + *role + "-" + hash_of(user + subject + (approving.approved ? "" : "no")).substr(0, kSubjectShown);
  if (name.size() > kLongestName) name = name.substr(name.size() - kLongestName);
  Json spec = {{"rolloutRef", {{"name", name_of(rollout)}}},
               {"role", *role},
               {"decision", approving.approved ? "Approved" : "Rejected"},
               {"approver", user},
               {"subject", subject}};
  if (!approving.reason.empty()) spec["reason"] = approving.reason;
  if (!approving.ticket.empty()) spec["ticket"] = approving.ticket;
  // It goes with the rollout, whose status keeps what was used.
  const Json owner = {{"apiVersion", "modelops.dev/v1alpha1"}, {"kind", "ModelRollout"}, {"name", name_of(rollout)}, {"uid", text(rollout, "metadata.uid")}};
  return Json{{"apiVersion", "modelops.dev/v1alpha1"},
              {"kind", "ModelApproval"},
              {"metadata", {{"name", name}, {"namespace", text(rollout, "metadata.namespace")}, {"ownerReferences", Json::array({owner})}}},
              {"spec", std::move(spec)}};
}

Result<std::string> whoami(Session& session) {
  const Json review = {{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "SelfSubjectReview"}};
  auto answer = session.client.post_raw("/apis/authentication.k8s.io/v1/selfsubjectreviews", review.dump(), session.stop);
  if (!answer) return fail(answer.error());
  const auto read = parse_json(*answer, answer->size());
  if (!read) return fail(read.error());
  const std::string user = text(*read, "status.userInfo.username");
  if (user.empty()) return fail(ErrorKind::Malformed, "the API server did not return your user name");
  return user;
}

int approve(Session& session, const Approving& asked) {
  Approving approving = asked;
  auto model = name_as(Kind::Model, asked.model);
  if (!model) return complain(session, model.error());
  approving.model = *model;
  const auto rollouts = read(session, approving.model);
  if (!rollouts) return complain(session, rollouts.error());
  const auto rollout = the_rollout(*rollouts, approving.rollout);
  if (!rollout) return complain(session, rollout.error());
  const auto user = whoami(session);
  if (!user) return complain(session, user.error());
  const auto approval = approval_of(approving, *rollout, *user);
  if (!approval) return complain(session, approval.error());
  Json version = Json::object();
  for (const Json& one : rollouts->versions)
    if (name_of(one) == text(*rollout, "spec.version")) version = one;
  for (const std::string& line : subject_lines(*rollout, version)) session.err << printable(line) << "\n";
  Json stored = *approval;
  if (!approving.only_show) {
    const auto done = session.client.post(Kind::ModelApproval, session.ns, approval->dump(), session.stop);
    if (!done && done.error().kind == ErrorKind::AlreadyExists)
      return complain(session,
                      {ErrorKind::Invalid, "you have already done this with ModelApproval " + name_of(*approval), 0, {}, {}});
    if (!done) return complain(session, done.error());
    auto object = parse_json(*done, done->size());
    if (!object) return complain(session, object.error());
    stored = std::move(*object);
  }
  if (!approving.output.empty()) {
    print_objects(session.out, {stored}, approving.output, false);
  } else {
    const std::string role = text(stored, "spec.role");
    session.out << printable(*user + (approving.approved ? " approves " : " rejects ") + title(*rollout) + " for role " + role +
                             ", by ModelApproval " + name_of(stored) + (approving.only_show ? " (dry run)" : ""))
                << "\n";
  }
  return kDone;
}

}  // namespace mo::plugin
