require_relative 'steps'

puts "version #{PG::VERSION}"
DB = PG.connect(sslmode: 'disable')
rows = ->(text, *values) { DB.exec_params(text, values).values }
insert = ->(*row) { DB.exec_params('INSERT INTO account (tenant_id, id, region, owner, balance) VALUES ($1, $2, $3, $4, $5)', row) }

step('connect') { rows.call('SELECT 1') }
step('tls') do
  tls = PG.connect(**TLS)
  [tls.ssl_in_use?, tls.exec('SELECT 1').values]
end
step('migrate') do
  (SCHEMA + DECLARATIONS).each { |text| DB.exec(text) }
  rows.call('SELECT count(*) FROM account')
end
step('crud') do
  DB.exec("INSERT INTO region VALUES ('eu', 'Europe'), ('us', 'America')")
  TENANTS.each { |tenant| insert.call(tenant, 1, 'eu', 'ann', 100) }
  [
    rows.call('SELECT owner FROM account WHERE tenant_id = $1 AND id = $2', 3, 1),
    DB.exec_params("UPDATE account SET region = 'us' WHERE balance >= $1", [50]).cmd_tuples,
    DB.exec_params('DELETE FROM account WHERE tenant_id = $1', [8]).cmd_tuples,
    rows.call('INSERT INTO memo (body) VALUES ($1) RETURNING id', "it's"),
    rows.call('SELECT r.name, count(*) FROM account a JOIN region r ON r.code = a.region GROUP BY r.name')
  ]
end
transfer = lambda do |fails|
  DB.transaction do
    (2..7).each do |tenant|
      DB.exec('UPDATE account SET balance = balance - 10 WHERE tenant_id = 1 AND id = 1')
      DB.exec_params('UPDATE account SET balance = balance + 10 WHERE tenant_id = $1 AND id = 1', [tenant])
    end
    raise KeyError, 'no' if fails
  end
rescue KeyError
  nil
end
balances = -> { rows.call('SELECT balance FROM account ORDER BY tenant_id') }
step('transaction') do
  transfer.call(false)
  committed = balances.call
  transfer.call(true)
  committed + balances.call
end
step('errors') do
  failures(
    -> { insert.call(1, 1, 'eu', 'bob', 0) },
    -> { insert.call(1, 2, 'xx', 'bob', 0) },
    -> { insert.call(1, 2, nil, 'bob', 0) },
    -> { DB.exec('SELEC 1') }
  )
end
step('refusal') { failures(-> { DB.exec(REFUSED) }) }
step('prepared') do
  DB.prepare('by_tenant', 'SELECT owner, balance, $2::timestamptz, $3::text FROM account WHERE tenant_id = $1')
  [1, 2, 3, 1].map { |tenant| DB.exec_prepared('by_tenant', [tenant, "2026-01-0#{tenant}", nil]).values }
end
step('stream') do
  DB.copy_data('COPY account (tenant_id, id, region, owner) FROM STDIN') do
    3000.times { |i| DB.put_copy_data("#{(i % 7) + 1}\t#{101 + i}\teu\to#{i}\n") }
  end
  DB.send_query_params('SELECT id FROM account WHERE id > $1 ORDER BY id', [100])
  DB.set_single_row_mode
  ids = DB.get_result.stream_each.map { |row| row['id'].to_i }
  DB.get_result
  [ids.length, ids.sum]
end
step('introspection') do
  result = DB.exec('SELECT * FROM account LIMIT 0')
  result.fields.each_index.map { |i| "#{result.fname(i)}:#{result.ftype(i)}:#{result.fmod(i)}" }
end
