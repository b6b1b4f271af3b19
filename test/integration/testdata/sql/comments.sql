-- # tables
CREATE TABLE t (id serial PRIMARY KEY, v text, n int DEFAULT 0) WITH (shard_key = 'id');

CREATE TABLE r (id int, b boolean) WITH (reference);

INSERT INTO t VALUES (1, 'b', 0), (2, 'c', 0), (3, 'a', 0), (4, 'b', 0), (5, 'c', 0), (6, 'a', 0), (7, 'b', 0), (8, 'c', 0), (9, 'a', 0), (10, 'b', 0), (11, 'c', 0), (12, 'a', 0);

INSERT INTO r VALUES (1, true), (2, false);

SELECT setval('t_id_seq', 1000);

-- # comments at the end of texts that were planned without

SELECT v FROM t WHERE id = 1;

SELECT v FROM t WHERE id = 1 /* one */;

SELECT v FROM t WHERE id = 1 /* two ' /* nested */ */;

SELECT v FROM t WHERE id = 1 -- three
;

SELECT count(*), min(v) FROM t;

SELECT count(*), min(v) FROM t /* one */;

SELECT count(*), min(v) FROM t /* two ' /* nested */ */;

SELECT count(*), min(v) FROM t -- three
;

SELECT id, v FROM t ORDER BY id LIMIT 3;

SELECT id, v FROM t ORDER BY id LIMIT 3 /* one */;

SELECT id, v FROM t ORDER BY id LIMIT 3 /* two ' /* nested */ */;

SELECT id, v FROM t ORDER BY id LIMIT 3 -- three
;

SELECT v, count(*) FROM t GROUP BY v ORDER BY v;

SELECT v, count(*) FROM t GROUP BY v ORDER BY v /* one */;

SELECT v, count(*) FROM t GROUP BY v ORDER BY v /* two ' /* nested */ */;

SELECT v, count(*) FROM t GROUP BY v ORDER BY v -- three
;

SELECT id, row_number() OVER (ORDER BY id) FROM t ORDER BY 1;

SELECT id, row_number() OVER (ORDER BY id) FROM t ORDER BY 1 /* one */;

SELECT id, row_number() OVER (ORDER BY id) FROM t ORDER BY 1 /* two ' /* nested */ */;

SELECT id, row_number() OVER (ORDER BY id) FROM t ORDER BY 1 -- three
;

BEGIN;

UPDATE t SET n = n + 1 WHERE id = 2 RETURNING n;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE id = 2 RETURNING n /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE id = 2 RETURNING n /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE id = 2 RETURNING n -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE v = 'a' RETURNING id;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE v = 'a' RETURNING id /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE v = 'a' RETURNING id /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE v = 'a' RETURNING id -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = (SELECT max(n) FROM t) WHERE n < 3;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = (SELECT max(n) FROM t) WHERE n < 3 /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = (SELECT max(n) FROM t) WHERE n < 3 /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = (SELECT max(n) FROM t) WHERE n < 3 -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t VALUES (101, 'x', 1), (102, 'y', 2);

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t VALUES (101, 'x', 1), (102, 'y', 2) /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t VALUES (101, 'x', 1), (102, 'y', 2) /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t VALUES (101, 'x', 1), (102, 'y', 2) -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x') ON CONFLICT DO NOTHING;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x') ON CONFLICT DO NOTHING /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x') ON CONFLICT DO NOTHING /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x') ON CONFLICT DO NOTHING -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x'), (104, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING id, v;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x'), (104, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING id, v /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x'), (104, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING id, v /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x'), (104, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING id, v -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (v, n) VALUES ('s', 1), ('s', 2);

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (v, n) VALUES ('s', 1), ('s', 2) /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (v, n) VALUES ('s', 1), ('s', 2) /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (v, n) VALUES ('s', 1), ('s', 2) -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t SELECT id + 200, v, n FROM t WHERE id < 4;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t SELECT id + 200, v, n FROM t WHERE id < 4 /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t SELECT id + 200, v, n FROM t WHERE id < 4 /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t SELECT id + 200, v, n FROM t WHERE id < 4 -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO r VALUES (5, now() IS NULL);

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO r VALUES (5, now() IS NULL) /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO r VALUES (5, now() IS NULL) /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO r VALUES (5, now() IS NULL) -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE r SET b = NOT b;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE r SET b = NOT b /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE r SET b = NOT b /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE r SET b = NOT b -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE id > 100;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE id > 100 /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE id > 100 /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE id > 100 -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE v = 'b' AND n > (SELECT 1000);

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE v = 'b' AND n > (SELECT 1000) /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE v = 'b' AND n > (SELECT 1000) /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE v = 'b' AND n > (SELECT 1000) -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

SELECT t.id, r.b FROM t JOIN r ON r.id = t.n WHERE t.id = 3;

SELECT t.id, r.b FROM t JOIN r ON r.id = t.n WHERE t.id = 3 /* one */;

SELECT t.id, r.b FROM t JOIN r ON r.id = t.n WHERE t.id = 3 /* two ' /* nested */ */;

SELECT t.id, r.b FROM t JOIN r ON r.id = t.n WHERE t.id = 3 -- three
;

SELECT id FROM t WHERE id IN (1, 2, 3) ORDER BY id;

SELECT id FROM t WHERE id IN (1, 2, 3) ORDER BY id /* one */;

SELECT id FROM t WHERE id IN (1, 2, 3) ORDER BY id /* two ' /* nested */ */;

SELECT id FROM t WHERE id IN (1, 2, 3) ORDER BY id -- three
;

SELECT id FROM t WHERE v = 'a' ORDER BY id FOR UPDATE;

SELECT id FROM t WHERE v = 'a' ORDER BY id FOR UPDATE /* one */;

SELECT id FROM t WHERE v = 'a' ORDER BY id FOR UPDATE /* two ' /* nested */ */;

SELECT id FROM t WHERE v = 'a' ORDER BY id FOR UPDATE -- three
;

SELECT now() IS NOT NULL, id FROM t WHERE id = 7;

SELECT now() IS NOT NULL, id FROM t WHERE id = 7 /* one */;

SELECT now() IS NOT NULL, id FROM t WHERE id = 7 /* two ' /* nested */ */;

SELECT now() IS NOT NULL, id FROM t WHERE id = 7 -- three
;

TABLE r;

TABLE r /* one */;

TABLE r /* two ' /* nested */ */;

TABLE r -- three
;

VALUES (1), (2);

VALUES (1), (2) /* one */;

VALUES (1), (2) /* two ' /* nested */ */;

VALUES (1), (2) -- three
;

BEGIN;

MERGE INTO t USING (VALUES (1, 'm')) AS s (a, b) ON t.id = s.a WHEN MATCHED THEN UPDATE SET v = s.b;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

MERGE INTO t USING (VALUES (1, 'm')) AS s (a, b) ON t.id = s.a WHEN MATCHED THEN UPDATE SET v = s.b /* one */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

MERGE INTO t USING (VALUES (1, 'm')) AS s (a, b) ON t.id = s.a WHEN MATCHED THEN UPDATE SET v = s.b /* two ' /* nested */ */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

MERGE INTO t USING (VALUES (1, 'm')) AS s (a, b) ON t.id = s.a WHEN MATCHED THEN UPDATE SET v = s.b -- three
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

-- # the other way round

SELECT v FROM t WHERE id = 1 -- one ; here
;

SELECT v FROM t WHERE id = 1   /*tp='00-1'*/ /* and */;

SELECT v FROM t WHERE id = 1;

SELECT count(*), min(v) FROM t -- one ; here
;

SELECT count(*), min(v) FROM t   /*tp='00-1'*/ /* and */;

SELECT count(*), min(v) FROM t;

SELECT id, v FROM t ORDER BY id LIMIT 3 -- one ; here
;

SELECT id, v FROM t ORDER BY id LIMIT 3   /*tp='00-1'*/ /* and */;

SELECT id, v FROM t ORDER BY id LIMIT 3;

SELECT v, count(*) FROM t GROUP BY v ORDER BY v -- one ; here
;

SELECT v, count(*) FROM t GROUP BY v ORDER BY v   /*tp='00-1'*/ /* and */;

SELECT v, count(*) FROM t GROUP BY v ORDER BY v;

SELECT id, row_number() OVER (ORDER BY id) FROM t ORDER BY 1 -- one ; here
;

SELECT id, row_number() OVER (ORDER BY id) FROM t ORDER BY 1   /*tp='00-1'*/ /* and */;

SELECT id, row_number() OVER (ORDER BY id) FROM t ORDER BY 1;

BEGIN;

UPDATE t SET n = n + 1 WHERE id = 2 RETURNING n -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE id = 2 RETURNING n   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE id = 2 RETURNING n;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE v = 'a' RETURNING id -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE v = 'a' RETURNING id   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = n + 1 WHERE v = 'a' RETURNING id;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = (SELECT max(n) FROM t) WHERE n < 3 -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = (SELECT max(n) FROM t) WHERE n < 3   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE t SET n = (SELECT max(n) FROM t) WHERE n < 3;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t VALUES (101, 'x', 1), (102, 'y', 2) -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t VALUES (101, 'x', 1), (102, 'y', 2)   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t VALUES (101, 'x', 1), (102, 'y', 2);

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x') ON CONFLICT DO NOTHING -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x') ON CONFLICT DO NOTHING   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x') ON CONFLICT DO NOTHING;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x'), (104, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING id, v -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x'), (104, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING id, v   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (id, v) VALUES (103, 'x'), (104, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING id, v;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (v, n) VALUES ('s', 1), ('s', 2) -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (v, n) VALUES ('s', 1), ('s', 2)   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t (v, n) VALUES ('s', 1), ('s', 2);

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t SELECT id + 200, v, n FROM t WHERE id < 4 -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t SELECT id + 200, v, n FROM t WHERE id < 4   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO t SELECT id + 200, v, n FROM t WHERE id < 4;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO r VALUES (5, now() IS NULL) -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO r VALUES (5, now() IS NULL)   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

INSERT INTO r VALUES (5, now() IS NULL);

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE r SET b = NOT b -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE r SET b = NOT b   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

UPDATE r SET b = NOT b;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE id > 100 -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE id > 100   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE id > 100;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE v = 'b' AND n > (SELECT 1000) -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE v = 'b' AND n > (SELECT 1000)   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

DELETE FROM t WHERE v = 'b' AND n > (SELECT 1000);

SELECT * FROM t ORDER BY id;

ROLLBACK;

SELECT t.id, r.b FROM t JOIN r ON r.id = t.n WHERE t.id = 3 -- one ; here
;

SELECT t.id, r.b FROM t JOIN r ON r.id = t.n WHERE t.id = 3   /*tp='00-1'*/ /* and */;

SELECT t.id, r.b FROM t JOIN r ON r.id = t.n WHERE t.id = 3;

SELECT id FROM t WHERE id IN (1, 2, 3) ORDER BY id -- one ; here
;

SELECT id FROM t WHERE id IN (1, 2, 3) ORDER BY id   /*tp='00-1'*/ /* and */;

SELECT id FROM t WHERE id IN (1, 2, 3) ORDER BY id;

SELECT id FROM t WHERE v = 'a' ORDER BY id FOR UPDATE -- one ; here
;

SELECT id FROM t WHERE v = 'a' ORDER BY id FOR UPDATE   /*tp='00-1'*/ /* and */;

SELECT id FROM t WHERE v = 'a' ORDER BY id FOR UPDATE;

SELECT now() IS NOT NULL, id FROM t WHERE id = 7 -- one ; here
;

SELECT now() IS NOT NULL, id FROM t WHERE id = 7   /*tp='00-1'*/ /* and */;

SELECT now() IS NOT NULL, id FROM t WHERE id = 7;

TABLE r -- one ; here
;

TABLE r   /*tp='00-1'*/ /* and */;

TABLE r;

VALUES (1), (2) -- one ; here
;

VALUES (1), (2)   /*tp='00-1'*/ /* and */;

VALUES (1), (2);

BEGIN;

MERGE INTO t USING (VALUES (1, 'm')) AS s (a, b) ON t.id = s.a WHEN MATCHED THEN UPDATE SET v = s.b -- one ; here
;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

MERGE INTO t USING (VALUES (1, 'm')) AS s (a, b) ON t.id = s.a WHEN MATCHED THEN UPDATE SET v = s.b   /*tp='00-1'*/ /* and */;

SELECT * FROM t ORDER BY id;

ROLLBACK;

BEGIN;

MERGE INTO t USING (VALUES (1, 'm')) AS s (a, b) ON t.id = s.a WHEN MATCHED THEN UPDATE SET v = s.b;

SELECT * FROM t ORDER BY id;

ROLLBACK;
