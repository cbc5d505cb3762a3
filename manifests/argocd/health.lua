-- What Argo CD shows of Models, ModelVersions, ModelRollouts, TrainingRuns, ModelRuntimes, gate sets, policies and approvals. It follows status alone, so it never disagrees with the
-- operator. (Argo CD has no `string` library.)
local status = obj.status
if obj.kind == "ModelRuntime" or obj.kind == "ModelGateSet" or obj.kind == "ClusterModelGateSet" or obj.kind == "ModelPolicy" or obj.kind == "ModelApproval" or obj.kind == "ModelAudit" then
  return {status = "Healthy", message = "used by Models"}
end
if status == nil or status.conditions == nil then
  if obj.kind == "ModelVersion" then
    return {status = "Healthy", message = "Registered"}
  end
  return {status = "Progressing", message = "waiting for the operator"}
end
if status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "the operator has not seen the last change yet"}
end

local is, reason = {}, {}
for _, condition in ipairs(status.conditions) do
  is[condition.type] = condition.status == "True"
  reason[condition.type] = condition.reason
end
local message = status.message or status.phase or ""
if is.Stalled then
  return {status = "Degraded", message = reason.Stalled .. ": " .. message}
end
-- A rollout that waits for a person, or that a person holds.
if status.phase == "Paused" then
  return {status = "Suspended", message = message}
end
if is.Ready then
  return {status = "Healthy", message = message}
end
-- Pods of the version that serves are missing.
if status.phase == "Degraded" then
  return {status = "Degraded", message = message}
end
return {status = "Progressing", message = message}
