-- Deterministic rows for every table whose content the lab's own roles do not write.
-- Statements are split where a line ends with a semicolon.
INSERT INTO jobs (config_type, scope, config, status, started_at, created_at, updated_at)
SELECT (ARRAY['sync', 'reset_connection', 'refresh']::job_config_type[])[1 + (i %% 20 = 0)::int + (i %% 40 = 0)::int],
  (SELECT id::text FROM connection ORDER BY id OFFSET i %% (SELECT greatest(count(*), 1) FROM connection) LIMIT 1),
  jsonb_build_object('configType', 'sync', 'seed', i, 'text', 'ä "quoted" \\ ' || chr(128512),
    'payload', (SELECT string_agg(md5(i || '/' || k), '') FROM generate_series(1, 1 + %(payload)s / 64) k)),
  (ARRAY['succeeded', 'succeeded', 'succeeded', 'failed', 'cancelled']::job_status[])[1 + i %% 5],
  timestamptz '2024-01-01' + i * interval '7 minutes', timestamptz '2024-01-01' + i * interval '7 minutes',
  timestamptz '2024-01-01' + i * interval '7 minutes' + interval '90 seconds'
FROM generate_series((SELECT count(*) FROM jobs WHERE config ? 'seed') + 1, %(jobs)s) i;
INSERT INTO attempts (job_id, attempt_number, log_path, output, status, created_at, updated_at, ended_at,
  temporal_workflow_id, failure_summary)
SELECT j.id, n, '/tmp/workspace/' || j.id || '/' || n || '/logs.log',
  CASE WHEN j.status = 'succeeded' THEN jsonb_build_object('records', j.id,
    'payload', (SELECT string_agg(md5(j.id || '-' || k), '') FROM generate_series(1, 1 + %(payload)s / 64) k)) END,
  CASE WHEN j.status = 'succeeded' THEN 'succeeded' ELSE 'failed' END::attempt_status,
  j.created_at, j.updated_at, j.updated_at, 'sync_' || j.id,
  CASE WHEN j.status <> 'succeeded' THEN '{"failures": [{"failureOrigin": "source"}]}'::jsonb END
FROM jobs j, generate_series(0, CASE WHEN j.status = 'failed' THEN 1 ELSE 0 END) n
WHERE j.config ? 'seed' AND NOT EXISTS (SELECT FROM attempts a WHERE a.job_id = j.id);
INSERT INTO stream_stats (id, attempt_id, stream_namespace, stream_name, records_emitted, bytes_emitted)
SELECT md5('stream_stats' || id)::uuid, id, NULLIF('ns' || id %% 3, 'ns0'), 'records', id, id * 1000
FROM attempts WHERE id %% 3 = 0 AND log_path LIKE '%%logs.log' ON CONFLICT DO NOTHING;
INSERT INTO sync_stats (id, attempt_id, records_emitted, bytes_emitted)
SELECT md5('sync_stats' || id)::uuid, id, id, NULL FROM attempts
WHERE id %% 3 = 0 AND log_path LIKE '%%logs.log' ON CONFLICT DO NOTHING;
INSERT INTO retry_states SELECT md5('retry' || id)::uuid, md5(scope)::uuid, id, 1, 2, 0, 0 FROM jobs
WHERE status = 'failed' AND scope IS NOT NULL ON CONFLICT DO NOTHING;
INSERT INTO actor_definition_workspace_grant (actor_definition_id, workspace_id, scope_id, scope_type)
SELECT d.id, CASE WHEN d.actor_type = 'source' THEN %(workspace)s END, %(workspace)s, 'workspace'
FROM actor_definition d WHERE NOT EXISTS (
  SELECT FROM actor_definition_workspace_grant g WHERE g.actor_definition_id = d.id);
INSERT INTO stream_reset (id, connection_id, stream_namespace, stream_name)
SELECT md5('stream_reset' || i)::uuid, md5('nobody' || i)::uuid, NULL, 'orphan' FROM generate_series(1, 7) i
WHERE NOT EXISTS (SELECT FROM stream_reset r WHERE r.id = md5('stream_reset' || i)::uuid);
INSERT INTO stream_reset SELECT id, connection_id, stream_namespace, stream_name, created_at, updated_at
FROM stream_reset r WHERE stream_name = 'orphan'
  AND (SELECT count(*) FROM stream_reset x WHERE x.id = r.id) = 1;
INSERT INTO actor_catalog SELECT md5('catalog' || i)::uuid, jsonb_build_object('streams',
  (SELECT jsonb_agg(jsonb_build_object('name', 's' || k, 'schema', md5(i || '.' || k))) FROM generate_series(1, 1 + 10 * %(payload)s) k)),
  md5('hash' || i), timestamptz '2024-02-03 04:05:06.789012+00' FROM generate_series(1, 3) i ON CONFLICT DO NOTHING;
INSERT INTO actor_catalog_fetch_event (id, actor_catalog_id, actor_id, config_hash, actor_version)
SELECT md5('fetch' || a.id)::uuid, md5('catalog1')::uuid, a.id, md5(a.name), '1.0.0' FROM actor a
WHERE a.actor_type = 'source' ON CONFLICT DO NOTHING;
INSERT INTO operation (id, workspace_id, name, operator_type, operator_webhook)
SELECT md5('operation')::uuid, %(workspace)s, 'Webhook', 'webhook', '{"executionUrl": "https://hook.example"}'
ON CONFLICT DO NOTHING;
INSERT INTO connection_operation SELECT md5('co' || id)::uuid, id, md5('operation')::uuid FROM connection
ON CONFLICT DO NOTHING;
INSERT INTO schema_management (id, connection_id) SELECT md5('sm' || id)::uuid, id FROM connection
ON CONFLICT DO NOTHING;
INSERT INTO notification_configuration (id, enabled, notification_type, connection_id)
SELECT md5('nc' || id)::uuid, true, 'webhook', id FROM connection ON CONFLICT DO NOTHING;
INSERT INTO connection_timeline_event (id, connection_id, event_type, summary)
SELECT md5('te' || id)::uuid, id, 'CONNECTION_SETTINGS_UPDATE', '{"by": "seed"}' FROM connection ON CONFLICT DO NOTHING;
INSERT INTO actor_definition_breaking_change (actor_definition_id, version, migration_documentation_url,
  upgrade_deadline, message) SELECT id, '2.0.0', 'https://docs.example/' || name, date '2025-01-31', E'two\nlines\tand a tab'
FROM actor_definition ON CONFLICT DO NOTHING;
INSERT INTO declarative_manifest SELECT id, 'seed', '{"version": "1.0.0", "streams": []}', '{}', 1
FROM actor_definition ON CONFLICT DO NOTHING;
INSERT INTO connector_builder_project (id, workspace_id, name, manifest_draft)
SELECT md5('builder')::uuid, %(workspace)s, 'Draft; with '' quotes', NULL ON CONFLICT DO NOTHING;
INSERT INTO stream_generation (id, connection_id, stream_name, generation_id, start_job_id)
SELECT md5('sg' || id)::uuid, id, 'records', 9223372036854775807, 1 FROM connection ON CONFLICT DO NOTHING;
INSERT INTO lab_peculiar_values
SELECT i, 'Text ' || i, decode(repeat(md5(i::text), CASE WHEN i = 7 THEN 32768 ELSE 4 END), 'hex'),
  ARRAY['a', NULL, 'with "quotes", comma', '', E'\\'], ARRAY[[i, 2], [3, NULL]], ARRAY[md5(i::text)::uuid],
  ARRAY['active', 'inactive']::status_type[], 12345678901234567890.123456789 * i,
  (ARRAY['NaN', 'Infinity', 1e-300, 0.1]::float8[])[1 + i %% 4], date '1999-12-31' + i,
  timetz '23:59:59.999999-11:30', interval '1 year 2 mons -3 days 04:05:06.7', inet '2001:db8::1/64',
  int8range(i, i + 10), json '{"b": 1, "a":   2, "b": 3}', 'pad', NULL
FROM generate_series(1, 50) i ON CONFLICT DO NOTHING;
