-- What a source from PostgreSQL 15 on may have besides.
CREATE TABLE of_15 (id int PRIMARY KEY, name text, UNIQUE NULLS NOT DISTINCT (name));
CREATE UNIQUE INDEX of_15_once ON of_15 (id, name) NULLS NOT DISTINCT;
CREATE TABLE of_15_child (
    id int PRIMARY KEY, a int, b int,
    FOREIGN KEY (a) REFERENCES of_15 ON DELETE SET NULL (a));
CREATE VIEW of_15_seen WITH (security_invoker = true) AS SELECT name FROM of_15;
CREATE UNLOGGED SEQUENCE of_15_numbers;
CREATE TABLE of_15_precise (id int PRIMARY KEY, coarse numeric(3, -2), fine numeric(2, 5));
INSERT INTO of_15 VALUES (1, NULL), (2, 'two');
INSERT INTO of_15_child VALUES (1, 1, 1), (2, NULL, 2);
INSERT INTO of_15_precise VALUES (1, 12345, 0.00012);
