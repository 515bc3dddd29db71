CREATE TABLE plain (id int PRIMARY KEY, note text);
INSERT INTO plain SELECT n, 'note ' || n FROM generate_series(1, 200) n;
CREATE TABLE keyless (note text);
INSERT INTO keyless VALUES ('a'), ('b');
