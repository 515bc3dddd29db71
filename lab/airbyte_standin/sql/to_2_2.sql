-- Shape of the config migrations between 2.0 and 2.2.
CREATE TABLE observability_stream_stats (
  job_id bigint NOT NULL, attempt_number int NOT NULL, stream_namespace text, stream_name text NOT NULL,
  metrics jsonb);
ALTER TABLE connection ADD COLUMN status_reason varchar;
DROP TABLE normalization_summaries;
