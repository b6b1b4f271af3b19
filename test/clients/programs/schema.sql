CREATE TABLE region (code text PRIMARY KEY, name text NOT NULL);
CREATE TABLE account (
  tenant_id int NOT NULL,
  id int NOT NULL,
  region text NOT NULL REFERENCES region (code),
  owner text NOT NULL,
  balance numeric(12, 2) NOT NULL DEFAULT 0,
  seen timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, owner)
);
CREATE INDEX account_seen ON account (seen);
CREATE TABLE memo (id serial PRIMARY KEY, body text);
