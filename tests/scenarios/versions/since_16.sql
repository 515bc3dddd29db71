-- What a source from PostgreSQL 16 on may have besides.
CREATE TABLE of_16 (id int PRIMARY KEY, number int DEFAULT 0x1F, million int DEFAULT 1_000_000, words text STORAGE EXTERNAL);
CREATE VIEW of_16_seen AS
    SELECT any_value(words) AS some, count(*) FILTER (WHERE words IS JSON) AS documents,
           json_arrayagg(words ORDER BY id) AS all_words FROM of_16;
CREATE FUNCTION is_document(text) RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT $1 IS JSON OBJECT; END;
ALTER TABLE of_16 ADD CHECK (words IS NULL OR words IS JSON);
INSERT INTO of_16 (id, words) VALUES (1, '{"a": 1}'), (2, NULL);
