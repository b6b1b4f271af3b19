// pgx, by its own interface.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

var ctx = context.Background()
var db *pgx.Conn

func sqlstate(err error) string {
	var known *pgconn.PgError
	if errors.As(err, &known) {
		return known.Code
	}
	return "?"
}

func step(name string, run func() (string, error)) {
	given, err := run()
	if err != nil {
		fmt.Println("error", name, sqlstate(err), strings.Join(strings.Fields(err.Error()), " "))
		return
	}
	fmt.Println("ok", name, strings.TrimSpace(given))
}

// rows reads the rows of a query as texts.
func rows(found pgx.Rows, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer found.Close()
	var seen []string
	for found.Next() {
		values, err := found.Values()
		if err != nil {
			return "", err
		}
		for _, value := range values {
			if given, ok := value.(interface{ Value() (interface{}, error) }); ok {
				value, _ = given.Value()
			}
			if at, ok := value.(time.Time); ok {
				value = at.UTC().Format(time.RFC3339)
			}
			seen = append(seen, strings.ReplaceAll(fmt.Sprint(value), " ", "_"))
		}
	}
	return strings.Join(seen, " "), found.Err()
}

func query(text string, values ...interface{}) (string, error) {
	return rows(db.Query(ctx, text, values...))
}

func all(file string) error {
	text, err := os.ReadFile("programs/" + file)
	if err != nil {
		return err
	}
	// Several statements in one text: the simple protocol.
	_, err = db.Exec(ctx, string(text))
	return err
}

func failures(texts ...string) (string, error) {
	var states []string
	for _, text := range texts {
		if _, err := db.Exec(ctx, text); err != nil {
			states = append(states, sqlstate(err))
		} else {
			states = append(states, "none")
		}
	}
	return strings.Join(states, " "), nil
}

func migrate() (string, error) {
	if err := all("schema.sql"); err != nil {
		return "", err
	}
	if os.Getenv("CLIENT_SERVER") == "weft" {
		if err := all("declare.sql"); err != nil {
			return "", err
		}
	}
	return query("SELECT count(*) FROM account")
}

func crud() (string, error) {
	batch := &pgx.Batch{}
	batch.Queue("INSERT INTO region VALUES ('eu', 'Europe'), ('us', 'America')")
	for tenant := 1; tenant <= 8; tenant++ {
		text := "INSERT INTO account (tenant_id, id, region, owner, balance) VALUES ($1, $2, $3, $4, $5)"
		batch.Queue(text, tenant, 1, "eu", "ann", 100)
	}
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return "", err
	}
	owner, err := query("SELECT owner FROM account WHERE tenant_id = $1 AND id = $2", 3, 1)
	if err != nil {
		return "", err
	}
	updated, err := db.Exec(ctx, "UPDATE account SET region = 'us' WHERE balance >= $1", 50)
	if err != nil {
		return "", err
	}
	deleted, err := db.Exec(ctx, "DELETE FROM account WHERE tenant_id = $1", 8)
	if err != nil {
		return "", err
	}
	memo, err := query("INSERT INTO memo (body) VALUES ($1) RETURNING id", "it's")
	if err != nil {
		return "", err
	}
	joined, err := query("SELECT r.name, count(*) FROM account a JOIN region r ON r.code = a.region GROUP BY r.name")
	return fmt.Sprint(owner, " ", updated, " ", deleted, " ", memo, " ", joined), err
}

var errNo = errors.New("no")

func transfer(commit bool) (string, error) {
	err := db.BeginFunc(ctx, func(tx pgx.Tx) error {
		for tenant := 2; tenant <= 7; tenant++ {
			if _, err := tx.Exec(ctx, "UPDATE account SET balance = balance - 10 WHERE tenant_id = 1 AND id = 1"); err != nil {
				return err
			}
			// A savepoint.
			err := tx.BeginFunc(ctx, func(inner pgx.Tx) error {
				_, err := inner.Exec(ctx, "UPDATE account SET balance = balance + 10 WHERE tenant_id = $1 AND id = 1", tenant)
				return err
			})
			if err != nil {
				return err
			}
		}
		if !commit {
			return errNo
		}
		return nil
	})
	if err != nil && err != errNo {
		return "", err
	}
	return query("SELECT balance::text FROM account ORDER BY tenant_id")
}

func prepared() (string, error) {
	text := "SELECT owner, balance::text, $2::timestamptz, $3::text FROM account WHERE tenant_id = $1"
	if _, err := db.Prepare(ctx, "by_tenant", text); err != nil {
		return "", err
	}
	var seen []string
	for tenant := 1; tenant <= 3; tenant++ {
		row, err := query("by_tenant", tenant, time.Date(2026, 1, tenant, 0, 0, 0, 0, time.UTC), nil)
		if err != nil {
			return "", err
		}
		seen = append(seen, row)
	}
	return strings.Join(seen, " "), nil
}

// stream copies rows in binary, and reads them as they come, and by a cursor.
func stream() (string, error) {
	var values [][]interface{}
	for i := 1; i <= 3000; i++ {
		values = append(values, []interface{}{int32(i%7 + 1), int32(100 + i), "eu", fmt.Sprint("o", i)})
	}
	columns := []string{"tenant_id", "id", "region", "owner"}
	copied, err := db.CopyFrom(ctx, pgx.Identifier{"account"}, columns, pgx.CopyFromRows(values))
	if err != nil {
		return "", err
	}
	found, err := db.Query(ctx, "SELECT id FROM account WHERE id > $1 ORDER BY id", 100)
	if err != nil {
		return "", err
	}
	sum, count := 0, 0
	for found.Next() {
		var id int
		if err := found.Scan(&id); err != nil {
			return "", err
		}
		sum += id
		count++
	}
	return fmt.Sprint(copied, " ", count, " ", sum), found.Err()
}

func introspection() (string, error) {
	found, err := db.Prepare(ctx, "about", "SELECT * FROM account WHERE tenant_id = $1 AND seen > $2")
	if err != nil {
		return "", err
	}
	var seen []string
	for _, field := range found.Fields {
		seen = append(seen, fmt.Sprint(string(field.Name), ":", field.DataTypeOID))
	}
	return fmt.Sprint(strings.Join(seen, " "), " ", found.ParamOIDs), nil
}

func connect(options string) (*pgx.Conn, error) { return pgx.Connect(ctx, options) }

func main() {
	var err error
	db, err = connect("sslmode=disable")
	if err != nil {
		panic(err)
	}
	defer db.Close(ctx)
	step("connect", func() (string, error) { return query("SELECT 1") })
	step("tls", func() (string, error) {
		tls, err := connect("sslmode=verify-full sslrootcert=" + os.Getenv("CLIENT_CA"))
		if err != nil {
			return "", err
		}
		defer tls.Close(ctx)
		return rows(tls.Query(ctx, "SELECT 1"))
	})
	step("migrate", migrate)
	step("crud", crud)
	step("transaction", func() (string, error) {
		committed, err := transfer(true)
		if err != nil {
			return "", err
		}
		rolledBack, err := transfer(false)
		return committed + " " + rolledBack, err
	})
	insert := "INSERT INTO account (tenant_id, id, region, owner) VALUES "
	step("errors", func() (string, error) {
		return failures(insert+"(1, 1, 'eu', 'bob')", insert+"(1, 2, 'xx', 'bob')", insert+"(1, 2, NULL, 'bob')", "SELEC 1")
	})
	step("refusal", func() (string, error) { return failures(os.Getenv("CLIENT_REFUSED")) })
	step("prepared", prepared)
	step("stream", stream)
	step("introspection", introspection)
}
