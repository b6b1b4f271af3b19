-- # policies that read colocated tables by the key of their row
CREATE TABLE roles (code int PRIMARY KEY, may_write bool) WITH (reference);

INSERT INTO roles VALUES (1, true), (2, false);

CREATE TABLE members (tenant int, who text, role int, PRIMARY KEY (tenant, who)) WITH (shard_key = 'tenant');

CREATE TABLE docs (tenant int NOT NULL, id int, owner text, body text, PRIMARY KEY (tenant, id)) WITH (shard_key = 'tenant', colocate_with = 'members');

CREATE TABLE others (id int PRIMARY KEY, tenant int) WITH (shard_key = 'id', colocate_with = 'none');

CREATE TABLE local (tenant int);

CREATE ROLE policies_ann;

CREATE ROLE policies_bob;

INSERT INTO members SELECT t, 'policies_ann', t % 2 + 1 FROM generate_series(1, 10) t;

INSERT INTO members SELECT t, 'policies_bob', 2 FROM generate_series(8, 20) t;

INSERT INTO docs SELECT t, i, CASE WHEN i % 2 = 0 THEN 'policies_ann' ELSE 'policies_bob' END, 'doc ' || t || '/' || i FROM generate_series(1, 20) t, generate_series(1, 4) i;

INSERT INTO others SELECT i, i FROM generate_series(1, 20) i;

GRANT USAGE ON SCHEMA policies TO policies_ann, policies_bob;

GRANT ALL ON ALL TABLES IN SCHEMA policies TO policies_ann, policies_bob;

-- refused policy_reads_table
CREATE POLICY any_member ON docs USING (EXISTS (SELECT FROM members m WHERE m.who = current_user));

-- refused policy_reads_table
CREATE POLICY by_owner ON docs USING (EXISTS (SELECT FROM members m WHERE m.who = docs.owner));

-- refused policy_reads_table
CREATE POLICY of_others ON docs USING (EXISTS (SELECT FROM others o WHERE o.id = docs.tenant));

-- refused policy_reads_table
CREATE POLICY of_local ON local USING (EXISTS (SELECT FROM members m WHERE m.tenant = local.tenant));

-- refused policy_reads_table
CREATE POLICY of_roles ON roles USING (EXISTS (SELECT FROM members m WHERE m.tenant = roles.code));

-- refused policy_reads_table
CREATE POLICY counted ON docs USING ((SELECT count(*) FROM members) > 5);

-- refused policy_reads_table
CREATE POLICY checked ON docs FOR INSERT WITH CHECK (tenant = 1 AND EXISTS (SELECT FROM members m WHERE m.who = current_user));

ALTER TABLE docs ENABLE ROW LEVEL SECURITY;

CREATE POLICY reads ON docs FOR SELECT USING (EXISTS (SELECT FROM members m WHERE m.tenant = docs.tenant AND m.who = current_user));

CREATE POLICY writes ON docs FOR UPDATE USING (tenant IN (SELECT m.tenant FROM members m JOIN roles r ON r.code = m.role WHERE m.who = current_user AND r.may_write)) WITH CHECK (owner = current_user);

CREATE POLICY adds ON docs FOR INSERT WITH CHECK ((SELECT r.may_write FROM members m JOIN roles r ON r.code = m.role WHERE m.tenant = docs.tenant AND m.who = current_user));

CREATE POLICY removes ON docs FOR DELETE USING (owner = current_user AND (SELECT count(*) FROM members m WHERE m.tenant = docs.tenant) > 1);

SELECT count(*) FROM docs;

SET ROLE policies_ann;

SELECT count(*), min(tenant), max(tenant) FROM docs;

SELECT * FROM docs WHERE tenant = 3 ORDER BY id;

SELECT * FROM docs WHERE tenant = 13;

-- params: 3::int4
SELECT id, body FROM docs WHERE tenant = $1 ORDER BY id;

SELECT tenant, count(*) FROM docs GROUP BY tenant ORDER BY tenant;

SELECT d.body FROM docs d JOIN others o ON o.tenant = d.tenant WHERE o.id < 4 ORDER BY 1;

SELECT body FROM docs ORDER BY body DESC LIMIT 3;

SELECT d.body, m.who FROM docs d JOIN members m USING (tenant) WHERE m.role = 2 ORDER BY 1, 2 LIMIT 5;

UPDATE docs SET body = 'mine' WHERE tenant = 3 AND id = 2;

UPDATE docs SET body = 'mine' WHERE tenant = 2 AND id = 2;

UPDATE docs SET body = body || '!' WHERE owner = 'policies_ann' RETURNING tenant, id, body;

UPDATE docs SET owner = 'policies_bob' WHERE tenant = 3 AND id = 4;

UPDATE docs SET body = body || '?' WHERE id IN (SELECT id FROM others WHERE id = 2) AND owner = current_user RETURNING tenant, id, body;

INSERT INTO docs VALUES (1, 9, 'policies_ann', 'new');

INSERT INTO docs VALUES (2, 9, 'policies_ann', 'new');

INSERT INTO docs VALUES (15, 9, 'policies_ann', 'new');

INSERT INTO docs VALUES (3, 10, 'policies_ann', 'new'), (5, 10, 'policies_ann', 'new'), (7, 10, 'policies_ann', 'new') RETURNING *;

INSERT INTO docs SELECT id, 20, 'policies_ann', 'copied' FROM others WHERE id IN (1, 3, 5, 7);

INSERT INTO docs SELECT id, 21, 'policies_ann', 'copied' FROM others WHERE id IN (1, 2);

INSERT INTO docs VALUES (1, 1, 'policies_ann', 'up') ON CONFLICT (tenant, id) DO UPDATE SET body = 'updated', owner = current_user RETURNING *;

COPY docs FROM STDIN;
1	30	policies_ann	copied
3	30	policies_ann	copied
\.

DELETE FROM docs WHERE tenant = 9 AND id = 2 RETURNING body;

DELETE FROM docs WHERE tenant = 3 AND id = 2 RETURNING body;

DELETE FROM docs WHERE tenant >= 8 RETURNING tenant, id;

SELECT body FROM docs WHERE tenant = 1 ORDER BY body FOR UPDATE;

SET ROLE policies_bob;

SELECT count(*), min(tenant), max(tenant) FROM docs;

SELECT tenant, id, body FROM docs WHERE owner = 'policies_ann' ORDER BY 1, 2;

BEGIN ISOLATION LEVEL REPEATABLE READ;

SELECT count(*) FROM docs;

SELECT count(*) FROM docs WHERE tenant = 12;

COMMIT;

RESET ROLE;

DELETE FROM members WHERE tenant = 12 AND who = 'policies_bob';

SET ROLE policies_bob;

SELECT count(*) FROM docs WHERE tenant = 12;

RESET ROLE;

-- refused policy_reads_table
ALTER POLICY reads ON docs USING (EXISTS (SELECT FROM members m WHERE m.who = current_user));

ALTER POLICY reads ON docs USING (EXISTS (SELECT FROM members m WHERE m.tenant = docs.tenant AND m.who = current_user AND m.role = 1));

SET ROLE policies_ann;

SELECT count(*), min(tenant), max(tenant) FROM docs;

RESET ROLE;

-- # policies come along with tables that are declared
CREATE TABLE late_members (tenant int, who text, PRIMARY KEY (tenant, who));

CREATE TABLE late_docs (tenant int NOT NULL, id int, PRIMARY KEY (tenant, id));

INSERT INTO late_members SELECT t, 'policies_ann' FROM generate_series(1, 10) t;

INSERT INTO late_docs SELECT t, i FROM generate_series(1, 20) t, generate_series(1, 4) i;

CREATE POLICY reads ON late_docs FOR SELECT USING (EXISTS (SELECT FROM late_members m WHERE m.tenant = late_docs.tenant AND m.who = current_user));

ALTER TABLE late_docs ENABLE ROW LEVEL SECURITY;

GRANT SELECT ON late_docs, late_members TO policies_ann;

-- weft
SELECT create_distributed_table('late_members', 'tenant');

SET ROLE policies_ann;

-- refused code_reaches_shards
SELECT count(*) FROM late_docs;

RESET ROLE;

-- weft
SELECT create_distributed_table('late_docs', 'tenant');

SET ROLE policies_ann;

SELECT count(*), max(tenant) FROM late_docs;

SELECT count(*) FROM late_docs WHERE tenant = 4;

RESET ROLE;

CREATE POLICY own ON late_members USING (who = current_user);

ALTER TABLE late_members ENABLE ROW LEVEL SECURITY;

SET ROLE policies_ann;

SELECT count(*), max(tenant) FROM late_docs;

RESET ROLE;

DROP OWNED BY policies_ann, policies_bob;

DROP ROLE policies_ann, policies_bob;

-- # tables of other schemas whose names policies say
CREATE SCHEMA policies_too;

CREATE TABLE policies_too.docs (id int PRIMARY KEY, doc json) WITH (shard_key = 'id', colocate_with = 'none');

CREATE TABLE policies_too.places (id int PRIMARY KEY, v int) WITH (shard_key = 'id', colocate_with = 'none');

INSERT INTO policies_too.docs SELECT i, '{}' FROM generate_series(1, 5) i;

INSERT INTO policies_too.places SELECT i, i + 1 FROM generate_series(1, 5) i RETURNING *;

SELECT count(*) FROM policies_too.docs d JOIN policies_too.places t ON t.v = d.id;

INSERT INTO policies_too.places SELECT id + 100, 1 FROM policies_too.docs;

UPDATE policies_too.docs SET doc = NULL FROM policies_too.places t WHERE t.v = docs.id AND t.id < 3 RETURNING docs.id;

SELECT count(*) FROM docs d JOIN policies_too.places t ON t.v = d.id;

DROP SCHEMA policies_too CASCADE;

-- # words that are the names of tables, and name none
CREATE TABLE zones (id int PRIMARY KEY, v int, kind text) WITH (shard_key = 'id', colocate_with = 'none');

CREATE TABLE visits (zones int NOT NULL, id int, note text DEFAULT 'of zones', twice int GENERATED ALWAYS AS (zones * 2) STORED, PRIMARY KEY (zones, id), CHECK (zones > 0), CHECK (note <> 'zones')) WITH (shard_key = 'zones', colocate_with = 'none');

CREATE INDEX visits_odd ON visits ((zones + id)) WHERE zones % 2 = 1;

CREATE TABLE guests (zones int NOT NULL, who text, PRIMARY KEY (zones, who)) WITH (shard_key = 'zones', colocate_with = 'visits');

CREATE FUNCTION greeted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  NEW.note := (SELECT max(who) FROM guests WHERE zones = NEW.zones);
  RETURN NEW;
END $$;

CREATE TRIGGER greets BEFORE INSERT OR UPDATE ON visits FOR EACH ROW EXECUTE FUNCTION greeted();

INSERT INTO zones SELECT i, i % 7 + 1, 'zones' FROM generate_series(1, 30) i;

INSERT INTO guests SELECT i, 'guest ' || i FROM generate_series(1, 10) i;

INSERT INTO visits SELECT v, id FROM zones;

INSERT INTO visits (zones, id) SELECT v, id + 100 FROM zones WHERE kind = 'guests' OR id < 5 RETURNING *;

UPDATE visits SET note = kind FROM zones z WHERE z.v = visits.zones AND z.id = visits.id AND z.id < 9 RETURNING visits.*, z.id;

DELETE FROM visits USING zones z WHERE z.v + 1 = visits.zones AND z.id = visits.id + 6;

DELETE FROM visits WHERE id IN (SELECT v FROM zones WHERE id < 4);

SELECT count(*), sum(zones), sum(twice), min(note) FROM visits;

CREATE FUNCTION zone_count() RETURNS int LANGUAGE sql STABLE AS 'SELECT count(*)::int FROM zones';

CREATE TABLE tours (zones int PRIMARY KEY, n int, counted int DEFAULT zone_count()) WITH (shard_key = 'zones', colocate_with = 'none');

-- refused trigger_reads_table
INSERT INTO tours SELECT v, 1 FROM zones WHERE id = 3;

DROP TABLE tours;

ALTER TABLE guests ENABLE ROW LEVEL SECURITY;

CREATE POLICY of_visits ON guests USING (EXISTS (SELECT FROM visits v WHERE v.zones = guests.zones));

SELECT tablename, policyname, cmd, qual FROM pg_policies WHERE tablename = 'guests';

-- params: guests
SELECT tablename, policyname, cmd, qual FROM pg_policies WHERE tablename = $1;

SELECT policyname, pg_get_expr(polqual, polrelid) FROM pg_policy p JOIN pg_policies s ON s.policyname = p.polname WHERE polrelid = 'guests'::regclass;

SELECT relname, relrowsecurity FROM pg_class WHERE oid = 'guests'::regclass;

SELECT string_agg(polname, ',') FROM pg_policy WHERE polrelid = 'guests'::regclass;

SELECT count(*) FROM zones WHERE kind = 'guests';

CREATE TABLE visits_here (zones int, id int, note text);

CREATE TRIGGER greets BEFORE INSERT ON visits_here FOR EACH ROW EXECUTE FUNCTION greeted();

-- refused trigger_reads_table
INSERT INTO visits_here SELECT v.zones, v.id FROM visits v JOIN guests g ON g.zones = v.zones;

DROP TABLE visits_here;

CREATE VIEW few_zones AS SELECT id, v, kind FROM zones WHERE id < 25;

INSERT INTO visits (zones, id) SELECT v, id + 200 FROM few_zones;

UPDATE visits SET note = f.kind FROM few_zones f WHERE f.v = visits.zones AND f.id + 200 = visits.id;

CREATE TABLE trips (k int, id int, v int, PRIMARY KEY (k, id)) PARTITION BY LIST (k) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE trips_low PARTITION OF trips FOR VALUES IN (1, 2, 3);

CREATE TABLE trips_high PARTITION OF trips DEFAULT;

INSERT INTO trips SELECT v, id, 0 FROM zones;

INSERT INTO trips SELECT v, k + 1000 + id, 1 FROM trips WHERE id < 4;

UPDATE trips SET v = t.v + 7 FROM trips t WHERE t.id = trips.k AND t.k <> trips.k;

CREATE TABLE hosts (zones int PRIMARY KEY, v int) WITH (shard_key = 'zones', colocate_with = 'none');

CREATE TABLE rooms (zones int REFERENCES hosts ON DELETE CASCADE, id int, v int, PRIMARY KEY (zones, id)) WITH (shard_key = 'zones', colocate_with = 'hosts');

INSERT INTO hosts SELECT i, i % 5 FROM generate_series(1, 20) i;

INSERT INTO rooms SELECT i % 20 + 1, i, i % 20 + 2 FROM generate_series(1, 40) i;

DELETE FROM hosts USING rooms r WHERE r.v = hosts.zones AND r.id < 6;

SELECT count(*), sum(id) FROM rooms;

DROP TABLE rooms, hosts, trips;

DROP VIEW few_zones;

DROP TABLE guests, visits, zones;
