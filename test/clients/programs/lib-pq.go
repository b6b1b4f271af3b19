// lib/pq, by Go's database/sql.
package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"
)

var db *sql.DB

func sqlstate(err error) string {
	var known *pq.Error
	if errors.As(err, &known) {
		return string(known.Code)
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
func rows(found *sql.Rows, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer found.Close()
	names, _ := found.Columns()
	var seen []string
	for found.Next() {
		values := make([]sql.NullString, len(names))
		places := make([]interface{}, len(names))
		for i := range values {
			places[i] = &values[i]
		}
		if err := found.Scan(places...); err != nil {
			return "", err
		}
		for _, value := range values {
			seen = append(seen, strings.ReplaceAll(fmt.Sprint(value.String), " ", "_"))
		}
	}
	return strings.Join(seen, " "), found.Err()
}

func query(text string, values ...interface{}) (string, error) { return rows(db.Query(text, values...)) }

func count(text string, values ...interface{}) (int64, error) {
	result, err := db.Exec(text, values...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func all(file string) error {
	text, err := os.ReadFile("programs/" + file)
	if err != nil {
		return err
	}
	_, err = db.Exec(string(text))
	return err
}

func failures(texts ...string) (string, error) {
	var states []string
	for _, text := range texts {
		if _, err := db.Exec(text); err != nil {
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
	if _, err := db.Exec("INSERT INTO region VALUES ('eu', 'Europe'), ('us', 'America')"); err != nil {
		return "", err
	}
	for tenant := 1; tenant <= 8; tenant++ {
		text := "INSERT INTO account (tenant_id, id, region, owner, balance) VALUES ($1, $2, $3, $4, $5)"
		if _, err := db.Exec(text, tenant, 1, "eu", "ann", 100); err != nil {
			return "", err
		}
	}
	owner, err := query("SELECT owner FROM account WHERE tenant_id = $1 AND id = $2", 3, 1)
	if err != nil {
		return "", err
	}
	updated, err := count("UPDATE account SET region = 'us' WHERE balance >= $1", 50)
	if err != nil {
		return "", err
	}
	deleted, err := count("DELETE FROM account WHERE tenant_id = $1", 8)
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

func transfer(commit bool) (string, error) {
	tx, err := db.Begin()
	if err != nil {
		return "", err
	}
	defer tx.Rollback()
	for tenant := 2; tenant <= 7; tenant++ {
		if _, err := tx.Exec("UPDATE account SET balance = balance - 10 WHERE tenant_id = 1 AND id = 1"); err != nil {
			return "", err
		}
		if _, err := tx.Exec("UPDATE account SET balance = balance + 10 WHERE tenant_id = $1 AND id = 1", tenant); err != nil {
			return "", err
		}
	}
	if commit {
		err = tx.Commit()
	} else {
		err = tx.Rollback()
	}
	if err != nil {
		return "", err
	}
	return query("SELECT balance FROM account ORDER BY tenant_id")
}

func prepared() (string, error) {
	statement, err := db.Prepare("SELECT owner, balance, $2::timestamptz, $3::text FROM account WHERE tenant_id = $1")
	if err != nil {
		return "", err
	}
	defer statement.Close()
	var seen []string
	for tenant := 1; tenant <= 3; tenant++ {
		at := time.Date(2026, 1, tenant, 0, 0, 0, 0, time.UTC)
		row, err := rows(statement.Query(tenant, at, nil))
		if err != nil {
			return "", err
		}
		seen = append(seen, row)
	}
	return strings.Join(seen, " "), nil
}

// stream copies rows in, and reads them by a cursor.
func stream() (string, error) {
	tx, err := db.Begin()
	if err != nil {
		return "", err
	}
	defer tx.Rollback()
	copied, err := tx.Prepare(pq.CopyIn("account", "tenant_id", "id", "region", "owner"))
	if err != nil {
		return "", err
	}
	for i := 1; i <= 3000; i++ {
		if _, err := copied.Exec(i%7+1, 100+i, "eu", fmt.Sprint("o", i)); err != nil {
			return "", err
		}
	}
	if _, err := copied.Exec(); err != nil {
		return "", err
	}
	if err := copied.Close(); err != nil {
		return "", err
	}
	if _, err := tx.Exec("DECLARE c CURSOR FOR SELECT id FROM account WHERE id > 100 ORDER BY id"); err != nil {
		return "", err
	}
	total, batches := 0, 0
	for {
		batch, err := rows(tx.Query("FETCH 100 FROM c"))
		if err != nil {
			return "", err
		}
		if batch == "" {
			return fmt.Sprint(total, " ", batches), tx.Commit()
		}
		total += len(strings.Fields(batch))
		batches++
	}
}

func main() {
	var err error
	db, err = sql.Open("postgres", "sslmode=disable")
	if err != nil {
		panic(err)
	}
	defer db.Close()
	step("connect", func() (string, error) { return query("SELECT 1") })
	step("tls", func() (string, error) {
		tls, err := sql.Open("postgres", "sslmode=verify-full sslrootcert="+os.Getenv("CLIENT_CA"))
		if err != nil {
			return "", err
		}
		defer tls.Close()
		return rows(tls.Query("SELECT 1"))
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
	step("introspection", func() (string, error) {
		found, err := db.Query("SELECT * FROM account LIMIT 0")
		if err != nil {
			return "", err
		}
		defer found.Close()
		types, err := found.ColumnTypes()
		var seen []string
		for _, column := range types {
			seen = append(seen, column.Name()+":"+column.DatabaseTypeName())
		}
		return strings.Join(seen, " "), err
	})
}
