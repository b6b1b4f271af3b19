# What the programs in Ruby share: one line for each step, and where the server is.
require 'pg'

def statements(file)
  File.read(File.join(__dir__, file)).split(";\n").reject { |text| text.strip.empty? }
end

SCHEMA = statements('schema.sql')
DECLARATIONS = ENV['CLIENT_SERVER'] == 'weft' ? statements('declare.sql') : []
REFUSED = ENV['CLIENT_REFUSED']
TLS = { sslmode: 'verify-full', sslrootcert: ENV['CLIENT_CA'] }.freeze
TENANTS = (1..8).freeze

# The SQLSTATE of an error, wherever the library has put it.
def sqlstate(error)
  while error
    return error.result.error_field(PG::Result::PG_DIAG_SQLSTATE) if error.respond_to?(:result) && error.result

    error = error.cause
  end
end

def step(name)
  values = [yield].flatten.map { |value| value.to_s.tr(' ', '_') }
  puts "ok #{name} #{values.join(' ')}"
rescue StandardError => e
  puts "error #{name} #{sqlstate(e)} #{e.class} #{e.message}".gsub(/\s+/, ' ')
end

def none(name, why)
  puts "none #{name} #{why}"
end

# The SQLSTATEs with which all of them fail, in turn.
def failures(*runs)
  runs.map do |run|
    run.call
    'none'
  rescue StandardError => e
    sqlstate(e) || e.inspect
  end
end
