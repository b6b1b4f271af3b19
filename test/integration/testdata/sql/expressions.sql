-- # tables
CREATE TYPE point3 AS (x int, y int, z text);

CREATE TABLE docs (id int PRIMARY KEY, kind text, tags text[], doc jsonb, page xml, at point3, made timestamptz, n int, ok bool) WITH (shard_key = 'id');

CREATE TABLE seats (serial_no bigserial, doc_id int, label text, PRIMARY KEY (doc_id, serial_no)) WITH (shard_key = 'doc_id');

INSERT INTO docs SELECT i, (ARRAY['a', 'b', NULL])[1 + i % 3], ARRAY['t' || i % 4, 'u'], jsonb_build_object('n', i, 'items', jsonb_build_array(
    jsonb_build_object('sku', 's' || i % 3, 'qty', i % 5), jsonb_build_object('sku', 'x'))),
  ('<rows><row id="' || i || '"><v>' || i % 4 || '</v></row><row id="0"/></rows>')::xml, ROW(i, i % 2, 'p'), '2024-03-01 00:00+00'::timestamptz + i * interval '5 hours', i % 7, i % 2 = 0
  FROM generate_series(1, 40) i;

-- # what stands behind a value in parentheses
SELECT (ARRAY['x', 'y', 'z'])[1 + n % 3] AS pick, count(*) FROM docs GROUP BY 1 ORDER BY 1;

SELECT id, (string_to_array(kind || ',q', ','))[2], (tags || 'w')[2:] FROM docs ORDER BY id LIMIT 5;

SELECT (CASE WHEN ok THEN at ELSE ROW(0, 0, 'none')::point3 END).z AS z, sum((coalesce(at, ROW(1, 1, 'q')::point3)).y) FROM docs GROUP BY 1 ORDER BY 1;

SELECT max((at).x), min((tags)[1]), (SELECT (ARRAY[1, 2])[2]) FROM docs;

-- # operators below operators
SELECT (kind IS NULL) = ok AS same, NOT (NOT ok) AS really, count(*) FROM docs GROUP BY 1, 2 ORDER BY 1, 2;

SELECT id FROM docs WHERE ((n > 3) IS NOT DISTINCT FROM ok) IS TRUE AND (kind = 'a') IN (true, NULL) ORDER BY id LIMIT 6;

SELECT count(*) FILTER (WHERE 'true' LIKE (n = 3)::text), - (max(n) - 2) ^ 2, @ (min(n) - 5), max((kind || 'x') COLLATE "C") FROM docs;

SELECT (made AT TIME ZONE 'Asia/Tokyo')::date AS day, count(*), min(made AT LOCAL) FROM docs GROUP BY 1 ORDER BY 1 LIMIT 4;

SELECT count(*), (kind || 'é') IS NFC NORMALIZED AS nfc FROM docs GROUP BY 2 ORDER BY 2;

-- # SQL/JSON
SELECT JSON_VALUE(doc, '$.n' RETURNING int) % 3 AS rest, count(*) FROM docs GROUP BY 1 ORDER BY 1;

SELECT JSON_QUERY(doc, '$.items[*].sku' WITH WRAPPER) AS skus, count(*) FROM docs GROUP BY 1 ORDER BY 1::text;

SELECT count(*) FROM docs WHERE JSON_EXISTS(doc, '$.items[*] ? (@.qty > $q)' PASSING 3 AS q) AND kind IS NOT NULL;

SELECT JSON_VALUE(doc, '$.none' DEFAULT 'nothing' ON EMPTY ERROR ON ERROR) AS v, sum(n) FROM docs GROUP BY 1;

SELECT j.sku, count(*), sum(j.qty), max(j.nr) FROM docs, JSON_TABLE(doc, '$.items[*]' COLUMNS (nr FOR ORDINALITY, sku text PATH '$.sku', qty int PATH '$.qty' DEFAULT -1 ON EMPTY)) j
  GROUP BY j.sku ORDER BY j.sku;

SELECT d.id, j.* FROM docs d, JSON_TABLE(d.doc, '$' AS root COLUMNS (n int PATH '$.n', has bool EXISTS PATH '$.items[1]', raw jsonb FORMAT JSON PATH '$.items[0].qty' WITH WRAPPER,
  NESTED PATH '$.items[*]' AS item COLUMNS (sku text PATH '$.sku')) ERROR ON ERROR) j ORDER BY d.id, j.sku LIMIT 5;

SELECT JSON_OBJECTAGG(id : kind ABSENT ON NULL) IS JSON OBJECT AS is_object, JSON_ARRAYAGG(kind ORDER BY id RETURNING jsonb) FROM docs WHERE id < 6;

-- # XML
SELECT x.id, count(*), min(x.v) FROM docs, XMLTABLE('/rows/row' PASSING page COLUMNS id int PATH '@id', nr FOR ORDINALITY, v text PATH 'v' DEFAULT 'none') x GROUP BY x.id ORDER BY x.id LIMIT 5;

SELECT (xpath('/rows/row/@id', page))[1]::text::int % 2 AS odd, count(*), bool_and(page IS DOCUMENT) FROM docs GROUP BY 1 ORDER BY 1;

-- # as the source of other statements
INSERT INTO seats (doc_id, label) SELECT id, (ARRAY['front', 'back'])[1 + n % 2] FROM docs ORDER BY id;

SELECT label, count(*), count(DISTINCT serial_no) FROM seats GROUP BY label ORDER BY label;

UPDATE docs SET n = (ARRAY[10, 20, 30])[1 + (SELECT min(d.id) FROM docs d) % 3] WHERE kind = 'a';

SELECT n, count(*) FROM docs GROUP BY n ORDER BY n;
