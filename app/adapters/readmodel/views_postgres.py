"""The views of requirements/004 over the tables, in PostgreSQL: TIMESTAMPTZ, TEXT[] and JSONB as written there.

``number`` reads a member that may be of any kind: one odd event must not break a view.
"""

_NUMBER = """
CREATE FUNCTION number(value JSONB) RETURNS DOUBLE PRECISION LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE jsonb_typeof(value) WHEN 'number' THEN (value #>> '{}')::DOUBLE PRECISION END $$
"""

_DECISIONS = """
CREATE VIEW optimization_decisions AS
SELECT
  d.decision_id AS id,
  to_timestamp(d.time_s) AS created_at,
  d.strategy AS strategy,
  ARRAY[d.service] AS target_services,
  d.json::jsonb -> 'changes' AS changes,
  d.rationale AS rationale,
  number(d.json::jsonb -> 'confidence') AS confidence,
  -100.0 * number(d.json::jsonb #> '{expected_impact,cost,estimate}') AS expected_cost_reduction,
  number(d.json::jsonb #> '{expected_impact,quality,estimate}') AS expected_quality_delta,
  (SELECT e.status FROM events e WHERE e.decision_id = d.decision_id ORDER BY e.time_s DESC, e.append_ms DESC, e.id
   LIMIT 1) AS status,
  (SELECT to_timestamp(min(e.time_s)) FROM events e
   WHERE e.decision_id = d.decision_id AND e.status IN ('accepted', 'verified')) AS deployed_at,
  (SELECT to_timestamp(min(e.time_s)) FROM events e
   WHERE e.decision_id = d.decision_id AND e.status = 'rolled-back') AS rolled_back_at,
  (SELECT e.json::jsonb FROM events e WHERE e.decision_id = d.decision_id AND e.status = 'verified'
   ORDER BY e.time_s DESC, e.id LIMIT 1) AS actual_impact
FROM events d
WHERE d.id = (SELECT f.id FROM events f WHERE f.decision_id = d.decision_id
              AND f.status IN ('proposed', 'decided', 'refused') ORDER BY f.time_s DESC, f.append_ms DESC, f.id LIMIT 1)
"""

_PERFORMANCE = """
CREATE VIEW model_performance AS
SELECT
  to_timestamp(a.end_s) AS timestamp,
  coalesce(m.model, a.arm) AS model_id,
  a.service AS service,
  a.arm AS arm,
  a.latency_ms_p50 AS latency_p50,
  a.latency_ms_p95 AS latency_p95,
  a.latency_ms_p99 AS latency_p99,
  CASE WHEN a.costed = a.count AND a.input_tokens + a.output_tokens > 0
       THEN 1000.0 * a.cost_usd / (a.input_tokens + a.output_tokens) END AS cost_per_1k,
  number(a.quality_json::jsonb #> '{judge,mean}') AS quality_score,
  CASE WHEN a.count > 0 THEN a.errors::DOUBLE PRECISION / a.count END AS error_rate,
  a.count::DOUBLE PRECISION / a.window_s AS throughput_qps
FROM aggregates a LEFT JOIN arm_models m ON m.service = a.service AND m.arm = a.arm
WHERE a.window_s = 300 AND a.slice = '*' AND a.arm <> '*'
"""

_TRIALS = """
CREATE VIEW trials AS
SELECT
  o.trial_id AS id,
  o.service AS service,
  o.json::jsonb #>> '{split,trial,arm}' AS arm,
  o.json::jsonb #>> '{split,trial,control_arm}' AS control_arm,
  o.time_s AS start_s,
  o.version AS first_version,
  (SELECT e.id FROM events e WHERE e.service = o.service AND e.status = 'decided' AND e.has_split
   AND e.version > o.version AND e.trial_id <> o.trial_id ORDER BY e.version LIMIT 1) AS ended_by,
  (SELECT e.id FROM events e WHERE e.service = o.service AND e.status = 'decided' AND e.has_split
   AND e.trial_id = o.trial_id ORDER BY e.version DESC LIMIT 1) AS newest
FROM events o
WHERE o.status = 'decided' AND o.trial_id <> '' AND o.action = 'open-trial'
"""

_EXPERIMENTS = """
CREATE VIEW experiments AS
SELECT
  t.id AS id,
  t.service || ': ' || t.last_arm || ' against ' || t.control_arm AS name,
  CASE WHEN t.ended_by IS NULL THEN 'running' ELSE 'completed' END AS status,
  jsonb_build_array(jsonb_build_object('variant_id', t.control_arm, 'role', 'control'),
                    jsonb_build_object('variant_id', t.last_arm, 'role', 'trial')) AS variants,
  jsonb_build_object(coalesce(t.control_arm, ''), t.json::jsonb #> '{split,trial,control_share}',
                     coalesce(t.last_arm, ''),
                     number(t.json::jsonb #> '{split,trial,share}')
                       / greatest(1, coalesce(jsonb_array_length(t.json::jsonb #> '{split,trial,arms}'), 1))
                    ) AS traffic_allocation,
  coalesce(t.json::jsonb -> 'constraints', '[]') AS metrics,
  to_timestamp(t.start_s) AS start_time,
  to_timestamp(e.time_s) AS end_time,
  e.json::jsonb -> 'expected_impact' AS results,
  CASE WHEN e.action IN ('promote', 'admit') THEN t.last_arm
    WHEN e.action = 'roll-back' THEN t.control_arm END AS winner_variant_id,
  number(e.json::jsonb -> 'confidence') AS statistical_significance,
  t.service AS service,
  e.action AS ended_with,
  e.rationale AS conclusion
FROM (
  SELECT t.*, n.json AS json, coalesce(n.json::jsonb #>> '{split,trial,arm}', t.arm) AS last_arm
  FROM trials t JOIN events n ON n.id = t.newest
) t LEFT JOIN events e ON e.id = t.ended_by
"""

VIEWS = (_NUMBER, _DECISIONS, _PERFORMANCE, _TRIALS, _EXPERIMENTS)
