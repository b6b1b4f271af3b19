# psql: the client that people type into.
here=$(dirname "$0")
echo "version $(psql --version | grep -o '[0-9.]*' | head -1)"
run() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@" 2>&1; }
# Joins the lines that the step printed; a step that failed says so.
step() {
  name=$1
  shift
  if out=$("$@"); then echo "ok $name $(echo $out)"; else echo "error $name $(echo $out)"; fi
}
tls() {
  export PGSSLMODE=verify-full PGSSLROOTCERT="$CLIENT_CA"
  run -c '\conninfo' | grep -o 'SSL connection' && run -c 'SELECT 1'
}
migrate() {
  run -f "$here/schema.sql" &&
    if [ "$CLIENT_SERVER" = weft ]; then run -o /dev/null -f "$here/declare.sql"; fi &&
    run -c 'SELECT count(*) FROM account'
}
crud() {
  run <<'SQL'
INSERT INTO region VALUES ('eu', 'Europe'), ('us', 'America');
INSERT INTO account (tenant_id, id, region, owner, balance) SELECT t, 1, 'eu', 'ann', 100 FROM generate_series(1, 8) t;
SELECT owner FROM account WHERE tenant_id = 3 AND id = 1;
UPDATE account SET region = 'us' WHERE balance >= 50;
\echo :ROW_COUNT
DELETE FROM account WHERE tenant_id = 8;
\echo :ROW_COUNT
INSERT INTO memo (body) VALUES ('it''s') RETURNING id;
SELECT r.name, count(*) FROM account a JOIN region r ON r.code = a.region GROUP BY r.name;
SQL
}
transaction() {
  for end in COMMIT ROLLBACK; do
    run <<SQL
BEGIN;
UPDATE account SET balance = balance - 60 WHERE tenant_id = 1 AND id = 1;
UPDATE account SET balance = balance + 10 WHERE tenant_id BETWEEN 2 AND 7 AND id = 1;
$end;
SELECT balance FROM account ORDER BY tenant_id;
SQL
  done
}
# The SQLSTATE of a statement.
state() { psql -X -q -A -t 2>/dev/null <<<"$1;
\\echo :SQLSTATE"; }
errors() {
  insert='INSERT INTO account (tenant_id, id, region, owner) VALUES'
  for text in "$insert (1, 1, 'eu', 'bob')" "$insert (1, 2, 'xx', 'bob')" "$insert (1, 2, NULL, 'bob')" 'SELEC 1'; do
    state "$text"
  done
}
prepared() {
  run <<'SQL'
PREPARE by_tenant (int, timestamptz, text) AS SELECT owner, balance, $2 AS at, $3 IS NULL FROM account WHERE tenant_id = $1;
EXECUTE by_tenant (1, '2026-01-01', NULL);
EXECUTE by_tenant (2, '2026-01-02', '');
EXECUTE by_tenant (3, '2026-01-03', NULL);
SQL
}
stream() {
  run -c "INSERT INTO account (tenant_id, id, region, owner)
    SELECT i % 7 + 1, 100 + i, 'eu', 'o' || i FROM generate_series(1, 3000) i" &&
    run -v FETCH_COUNT=100 -c 'SELECT id FROM account WHERE id > 100 ORDER BY id' |
    awk '{ count++; sum += $1 } END { print count, sum }'
}
introspection() { run -c '\d account' -c '\dt' -c '\di'; }

step connect run -c 'SELECT 1'
step tls tls
step migrate migrate
step crud crud
step transaction transaction
step errors errors
step refusal state "$CLIENT_REFUSED"
step prepared prepared
step stream stream
step introspection introspection
