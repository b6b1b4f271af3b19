/** The clients that are run, each by a program in `programs/` that prints one line for each step. */

export const steps = [
  'connect',
  'tls',
  'migrate',
  'crud',
  'transaction',
  'errors',
  'refusal',
  'prepared',
  'stream',
  'introspection',
] as const
export type Step = (typeof steps)[number]

export interface Client {
  /** What is given on the command line. */
  readonly name: string
  /** As people call it. */
  readonly title: string
  /** In `programs/`. A module of Python must not be called as the library that it uses. */
  readonly program: string
  /** Debian's packages that it needs beside its language. */
  readonly apt: readonly string[]
  /** The package of Debian whose version is the client's, for a library that does not tell its own. */
  readonly versionOf?: string
  /** Needs packages that only test/clients/package.json has. */
  readonly npm?: true
  /** Steps in which Weft is known to differ, and why. */
  readonly differs?: Partial<Record<Step, string>>
}

interface Language {
  readonly command: readonly string[]
  /** Debian's packages that have it. */
  readonly apt: readonly string[]
}

/** By the endings of programs. */
const languages: Readonly<Record<string, Language>> = {
  sh: { command: ['bash'], apt: ['postgresql-client'] },
  js: { command: [process.execPath], apt: [] },
  py: { command: ['/usr/bin/python3', '-B'], apt: ['python3'] },
  java: { command: ['java', '-cp', '/usr/share/java/postgresql.jar'], apt: ['default-jdk-headless'] },
  go: { command: ['go', 'run'], apt: ['golang-go'] },
  rb: { command: ['ruby'], apt: ['ruby'] },
  php: { command: ['php'], apt: ['php-cli'] },
  pl: { command: ['perl'], apt: ['perl'] },
}

export function languageOf({ program }: Client): Language {
  const language = languages[program.split('.').at(-1)!]
  if (language === undefined) throw new Error(`nothing is known to run ${program}`)
  return language
}

export const clients: readonly Client[] = [
  { name: 'psql', title: 'psql', program: 'psql.sh', apt: [] },
  { name: 'pgbench', title: 'pgbench', program: 'pgbench.sh', apt: ['postgresql'] },
  { name: 'node-postgres', title: 'node-postgres', program: 'node-postgres.js', apt: [] },
  { name: 'postgres-js', title: 'postgres.js', program: 'postgres-js.js', apt: [] },
  { name: 'kysely', title: 'Kysely, node-postgres', program: 'kysely.js', apt: [] },
  { name: 'pg-promise', title: 'pg-promise', program: 'pg-promise.js', apt: [], npm: true },
  { name: 'drizzle', title: 'Drizzle, node-postgres', program: 'drizzle.js', apt: [], npm: true },
  { name: 'knex', title: 'Knex', program: 'knex.js', apt: [], npm: true },
  { name: 'typeorm', title: 'TypeORM', program: 'typeorm.js', apt: [], npm: true },
  { name: 'sequelize', title: 'Sequelize', program: 'sequelize.js', apt: [], npm: true },
  { name: 'mikro-orm', title: 'MikroORM', program: 'mikro-orm.js', apt: [], npm: true },
  {
    name: 'prisma',
    title: 'Prisma, its adapter for node-postgres',
    program: 'prisma.js',
    apt: [],
    npm: true,
  },
  { name: 'psycopg2', title: 'psycopg2', program: 'python-psycopg2.py', apt: ['python3-psycopg2'] },
  { name: 'psycopg3', title: 'psycopg 3', program: 'python-psycopg3.py', apt: ['python3-psycopg'] },
  { name: 'asyncpg', title: 'asyncpg', program: 'python-asyncpg.py', apt: ['python3-asyncpg'] },
  {
    name: 'sqlalchemy',
    title: 'SQLAlchemy, Alembic, psycopg2',
    program: 'python-sqlalchemy.py',
    apt: ['python3-sqlalchemy', 'python3-alembic', 'python3-psycopg2'],
  },
  {
    name: 'django',
    title: 'Django, psycopg2',
    program: 'python-django.py',
    apt: ['python3-django', 'python3-psycopg2'],
  },
  { name: 'jdbc', title: 'JDBC', program: 'Jdbc.java', apt: ['libpostgresql-jdbc-java'] },
  {
    name: 'lib-pq',
    title: 'Go, lib/pq',
    program: 'lib-pq.go',
    apt: ['golang-github-lib-pq-dev'],
    versionOf: 'golang-github-lib-pq-dev',
  },
  {
    name: 'pgx',
    title: 'Go, pgx',
    program: 'pgx.go',
    apt: ['golang-github-jackc-pgx-v4-dev'],
    versionOf: 'golang-github-jackc-pgx-v4-dev',
  },
  { name: 'ruby-pg', title: 'Ruby, pg', program: 'ruby-pg.rb', apt: ['ruby-pg'] },
  {
    name: 'activerecord',
    title: 'ActiveRecord',
    program: 'activerecord.rb',
    apt: ['ruby-pg', 'ruby-activerecord'],
  },
  { name: 'pdo', title: 'PHP, PDO', program: 'pdo.php', apt: ['php-pgsql'] },
  { name: 'dbd-pg', title: 'Perl, DBD::Pg', program: 'dbd-pg.pl', apt: ['libdbd-pg-perl'] },
  {
    name: 'odbc',
    title: 'ODBC, pyodbc',
    program: 'python-odbc.py',
    apt: ['odbc-postgresql', 'python3-pyodbc'],
  },
]
