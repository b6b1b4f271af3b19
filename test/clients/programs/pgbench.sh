# pgbench: its own tables (local ones, and sharded by branch), and a script of ours over several shards.
echo "version $(pgbench --version | grep -o '[0-9.]*' | head -1)"
run() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@" 2>&1; }
step() {
  name=$1
  shift
  if out=$("$@" 2>&1); then echo "ok $name $(echo $out)"; else echo "error $name $(echo $out)"; fi
}
# What a run did, without its times.
bench() { pgbench -n "$@" 2>&1 | grep -E 'processed|failed|ERROR|error'; test "${PIPESTATUS[0]}" = 0; }
script() { bench -t 1 -f <(echo "$1"); }
tls() { PGSSLMODE=verify-full PGSSLROOTCERT="$CLIENT_CA" script 'SELECT 1;'; }
migrate() {
  pgbench -i -q -s 2 --foreign-keys >/dev/null 2>&1 &&
    run -c "CREATE TABLE account (tenant_id int PRIMARY KEY, balance int NOT NULL);
      INSERT INTO account SELECT i, 100 FROM generate_series(1, 40) i" &&
    if [ "$CLIENT_SERVER" = weft ]; then
      run -o /dev/null -c "SELECT create_distributed_table('account', 'tenant_id')" -c "ANALYZE account"
    fi &&
    run -c 'SELECT count(*), sum(abalance) FROM pgbench_accounts'
}
crud() {
  bench -t 50 -c 2 -b tpcb-like &&
    run -c 'SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)'
}
transfer='\set one random(1, 40)
\set other random(1, 40)
BEGIN;
UPDATE account SET balance = balance - 1 WHERE tenant_id = :one;
UPDATE account SET balance = balance + 1 WHERE tenant_id = :other;
'
sums() { run -c 'SELECT sum(balance), count(*) FROM account'; }
transaction() {
  bench -t 50 -f <(echo "$transfer COMMIT;") && bench -t 10 -f <(echo "$transfer ROLLBACK;") && sums
}
prepared() { bench -t 50 -M extended -f <(echo "$transfer END;") && bench -t 50 -M prepared -f <(echo "$transfer END;") && sums; }

step connect script 'SELECT 1;'
step tls tls
step migrate migrate
step crud crud
step transaction transaction
echo 'none errors it prints messages, not SQLSTATEs'
echo 'none refusal it prints messages, not SQLSTATEs'
step prepared prepared
echo 'none stream it reads whole results'
echo 'none introspection it has none'
