require_relative 'steps'
require 'active_record'

puts "version #{ActiveRecord.version}"
ActiveRecord::Migration.verbose = false
CONFIG = {
  adapter: 'postgresql', host: ENV['PGHOST'], port: ENV['PGPORT'], username: ENV['PGUSER'],
  password: ENV['PGPASSWORD'], database: ENV['PGDATABASE']
}.freeze

class Region < ActiveRecord::Base
  self.table_name = 'region'
  self.primary_key = 'code'
end

# This version knows no keys of two columns: the key is the tenant.
class Account < ActiveRecord::Base
  self.table_name = 'account'
  self.primary_key = 'tenant_id'
  belongs_to :place, class_name: 'Region', foreign_key: 'region', optional: true
end

class Memo < ActiveRecord::Base
  self.table_name = 'memo'
end

class Secure < ActiveRecord::Base
  self.abstract_class = true
end

class First < ActiveRecord::Migration[6.1]
  def change
    create_table(:region, id: false) do |t|
      t.text :code, primary_key: true
      t.text :name, null: false
    end
    create_table(:account, id: false) do |t|
      t.integer :tenant_id, primary_key: true
      t.text :region, null: false
      t.text :owner, null: false
      t.decimal :balance, precision: 12, scale: 2, null: false, default: 0
      t.datetime :seen
      t.index %i[tenant_id owner], unique: true
      t.index :seen
    end
    add_foreign_key :account, :region, column: :region, primary_key: :code
    create_table(:memo) { |t| t.text :body }
  end
end

# On tables that are sharded by then.
class Later < ActiveRecord::Migration[6.1]
  def change
    add_column :account, :extra, :integer
    change_column_default :account, :extra, from: nil, to: 5
    remove_column :account, :extra, :integer
    rename_column :memo, :body, :words
    rename_column :memo, :words, :body
  end
end

step('connect') do
  ActiveRecord::Base.establish_connection(CONFIG)
  ActiveRecord::Base.connection.select_value('SELECT 1')
end
step('tls') do
  Secure.establish_connection(CONFIG.merge(TLS))
  [Secure.connection.raw_connection.ssl_in_use?, Secure.connection.select_value('SELECT 1')]
end
connection = ActiveRecord::Base.connection
step('migrate') do
  ActiveRecord::SchemaMigration.create_table
  ActiveRecord::InternalMetadata.create_table
  First.migrate(:up)
  DECLARATIONS.each { |text| connection.execute(text) }
  Later.migrate(:up)
  ActiveRecord::SchemaMigration.create!(version: '1')
  [Account.count, ActiveRecord::SchemaMigration.all_versions]
end
row = ->(tenant, **more) { { tenant_id: tenant, region: 'eu', owner: 'ann', balance: 100, **more } }
step('crud') do
  Region.create!(code: 'eu', name: 'Europe')
  Region.insert_all!([{ code: 'us', name: 'America' }])
  Account.insert_all!(TENANTS.map { |tenant| row.call(tenant) })
  found = Account.includes(:place).find(3)
  Account.upsert_all([row.call(1)], unique_by: :tenant_id)
  [
    found.owner, found.place.name,
    Account.where('balance >= ?', 50).update_all(region: 'us'),
    Account.where(tenant_id: 8).delete_all,
    Memo.create!(body: "it's").id,
    Memo.find_or_create_by!(body: 'other').id,
    Account.joins(:place).group('region.name').count
  ]
end
transfer = lambda do |fails|
  ActiveRecord::Base.transaction do
    (2..7).each do |tenant|
      Account.where(tenant_id: 1).update_all('balance = balance - 10')
      Account.transaction(requires_new: true) do
        account = Account.lock.find(tenant)
        account.update!(balance: account.balance + 10)
      end
    end
    raise ActiveRecord::Rollback if fails
  end
  Account.order(:tenant_id).pluck(:balance)
end
step('transaction') { transfer.call(false) + transfer.call(true) }
step('errors') do
  failures(
    -> { Account.insert!(row.call(1)) },
    -> { Account.insert!(row.call(9, region: 'xx')) },
    -> { Account.insert!(row.call(9, region: nil)) },
    -> { connection.execute('SELEC 1') }
  )
end
step('refusal') { failures(-> { connection.execute(REFUSED) }) }
step('prepared') { [1, 2, 3, 1].map { |tenant| Account.find_by(tenant_id: tenant, owner: 'ann').balance } + [connection.prepared_statements] }
step('stream') do
  rows = Array.new(3000) { |i| row.call(100 + i, owner: "o#{i}") }
  rows.each_slice(500) { |some| Account.insert_all!(some) }
  ids = Account.where('tenant_id > 99').find_each(batch_size: 200).map(&:tenant_id)
  [ids.length, ids.sum]
end
step('introspection') do
  columns = connection.columns('account').map { |c| "#{c.name}:#{c.sql_type}:#{c.null}:#{c.default}" }
  indexes = connection.indexes('account').map { |i| "#{i.name}:#{i.unique}:#{i.columns.join(',')}" }.sort
  foreign = connection.foreign_keys('account').map { |key| "#{key.column}:#{key.to_table}" }
  [connection.tables.sort, connection.primary_keys('account'), columns, indexes, foreign]
end
