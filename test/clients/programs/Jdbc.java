import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.*;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.postgresql.PGStatement;

/** JDBC: java -cp postgresql.jar Jdbc.java */
class Jdbc {
    interface Run { Object run() throws Exception; }

    static final String HERE = "programs/";
    static Connection db;

    static void step(String name, Run run) {
        try {
            Object given = run.run();
            String text = given instanceof List ? String.join(" ", ((List<?>) given).stream().map(String::valueOf).toList()) : String.valueOf(given);
            System.out.println("ok " + name + " " + text);
        } catch (SQLException error) {
            System.out.println("error " + name + " " + error.getSQLState() + " " + error.getMessage().replaceAll("\\s+", " "));
        } catch (Exception error) {
            System.out.println("error " + name + " " + error.toString().replaceAll("\\s+", " "));
        }
    }

    static Connection connect(Properties more) throws SQLException {
        Properties all = new Properties();
        all.setProperty("user", System.getenv("PGUSER"));
        all.setProperty("password", System.getenv("PGPASSWORD"));
        all.putAll(more);
        return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"), all);
    }

    static Properties properties(String... pairs) {
        Properties given = new Properties();
        for (int i = 0; i < pairs.length; i += 2) given.setProperty(pairs[i], pairs[i + 1]);
        return given;
    }

    static void execute(String text) throws SQLException {
        try (Statement statement = db.createStatement()) { statement.execute(text); }
    }

    static void all(String file) throws SQLException, IOException {
        for (String text : Files.readString(Path.of(HERE + file)).split(";\n")) if (!text.isBlank()) execute(text);
    }

    static List<Object> rows(Connection on, String text, Object... values) throws SQLException {
        try (PreparedStatement statement = on.prepareStatement(text)) {
            for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
            return rows(statement.executeQuery());
        }
    }

    static List<Object> rows(ResultSet results) throws SQLException {
        List<Object> rows = new ArrayList<>();
        int width = results.getMetaData().getColumnCount();
        while (results.next()) for (int i = 1; i <= width; i++) rows.add(String.valueOf(results.getObject(i)).replace(' ', '_'));
        return rows;
    }

    static int update(String text, Object... values) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(text)) {
            for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
            return statement.executeUpdate();
        }
    }

    static String failure(String text) {
        try {
            execute(text);
            return "none";
        } catch (SQLException error) {
            return error.getSQLState();
        }
    }

    static List<Object> crud() throws SQLException {
        List<Object> seen = new ArrayList<>();
        execute("INSERT INTO region VALUES ('eu', 'Europe'), ('us', 'America')");
        try (PreparedStatement insert = db.prepareStatement("INSERT INTO account (tenant_id, id, region, owner, balance) VALUES (?, 1, 'eu', ?, ?)")) {
            for (int tenant = 1; tenant <= 8; tenant++) {
                insert.setInt(1, tenant);
                insert.setString(2, "ann");
                insert.setBigDecimal(3, new java.math.BigDecimal("100"));
                insert.addBatch();
            }
            seen.add(insert.executeBatch().length);
        }
        seen.addAll(rows(db, "SELECT owner FROM account WHERE tenant_id = ? AND id = ?", 3, 1));
        seen.add(update("UPDATE account SET region = 'us' WHERE balance >= ?", 50));
        seen.add(update("DELETE FROM account WHERE tenant_id = ?", 8));
        try (PreparedStatement insert = db.prepareStatement("INSERT INTO memo (body) VALUES (?)", new String[] {"id"})) {
            insert.setString(1, "it's");
            insert.executeUpdate();
            seen.addAll(rows(insert.getGeneratedKeys()));
        }
        seen.addAll(rows(db, "SELECT r.name, count(*) FROM account a JOIN region r ON r.code = a.region GROUP BY r.name"));
        return seen;
    }

    static List<Object> transfer(boolean commit) throws SQLException {
        db.setAutoCommit(false);
        for (int tenant = 2; tenant <= 7; tenant++) {
            execute("UPDATE account SET balance = balance - 10 WHERE tenant_id = 1 AND id = 1");
            Savepoint savepoint = db.setSavepoint();
            update("UPDATE account SET balance = balance + 10 WHERE tenant_id = ? AND id = 1", tenant);
            db.releaseSavepoint(savepoint);
        }
        if (commit) db.commit();
        else db.rollback();
        db.setAutoCommit(true);
        return rows(db, "SELECT balance FROM account ORDER BY tenant_id");
    }

    /** More than prepareThreshold times, so that it is prepared on the server. */
    static List<Object> prepared() throws SQLException {
        List<Object> seen = new ArrayList<>();
        try (PreparedStatement statement = db.prepareStatement("SELECT owner, balance, ?::timestamptz, ?::text FROM account WHERE tenant_id = ?")) {
            for (int i = 0; i < 10; i++) {
                statement.setTimestamp(1, new Timestamp(86_400_000L * i));
                statement.setNull(2, Types.VARCHAR);
                statement.setInt(3, i % 3 + 1);
                seen.addAll(rows(statement.executeQuery()));
            }
            seen.add(statement.unwrap(PGStatement.class).isUseServerPrepare());
        }
        return seen;
    }

    static List<Object> stream() throws SQLException {
        update("INSERT INTO account (tenant_id, id, region, owner) SELECT i % 7 + 1, 100 + i, 'eu', 'o' || i FROM generate_series(1, ?) i", 3000);
        db.setAutoCommit(false);
        long count = 0, sum = 0;
        try (Statement statement = db.createStatement()) {
            statement.setFetchSize(100);
            ResultSet results = statement.executeQuery("SELECT id FROM account WHERE id > 100 ORDER BY id");
            for (; results.next(); count++) sum += results.getLong(1);
        }
        db.commit();
        db.setAutoCommit(true);
        return List.of(count, sum);
    }

    static List<Object> introspection() throws SQLException {
        List<Object> seen = new ArrayList<>();
        DatabaseMetaData about = db.getMetaData();
        ResultSet tables = about.getTables(null, "public", "%", new String[] {"TABLE"});
        while (tables.next()) seen.add(tables.getString("TABLE_NAME"));
        ResultSet columns = about.getColumns(null, "public", "%", "%");
        while (columns.next()) seen.add(columns.getString("TABLE_NAME") + "." + columns.getString("COLUMN_NAME") + ":" + columns.getString("TYPE_NAME") + ":" + columns.getString("IS_NULLABLE"));
        ResultSet keys = about.getPrimaryKeys(null, "public", "account");
        while (keys.next()) seen.add(keys.getString("PK_NAME") + ":" + keys.getString("COLUMN_NAME"));
        ResultSet foreign = about.getImportedKeys(null, "public", "account");
        while (foreign.next()) seen.add(foreign.getString("FK_NAME") + ":" + foreign.getString("PKTABLE_NAME"));
        ResultSet indexes = about.getIndexInfo(null, "public", "account", false, true);
        while (indexes.next()) seen.add(indexes.getString("INDEX_NAME") + ":" + indexes.getString("COLUMN_NAME"));
        return seen;
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println("version " + org.postgresql.util.DriverInfo.DRIVER_VERSION);
        db = connect(properties("sslmode", "disable"));
        step("connect", () -> rows(db, "SELECT 1"));
        step("tls", () -> {
            try (Connection tls = connect(properties("sslmode", "verify-full", "sslrootcert", System.getenv("CLIENT_CA")))) {
                return rows(tls, "SELECT 1");
            }
        });
        step("migrate", () -> {
            all("schema.sql");
            if (System.getenv("CLIENT_SERVER").equals("weft")) all("declare.sql");
            return rows(db, "SELECT count(*) FROM account");
        });
        step("crud", Jdbc::crud);
        step("transaction", () -> List.of(transfer(true), transfer(false)));
        String insert = "INSERT INTO account (tenant_id, id, region, owner) VALUES ";
        step("errors", () -> List.of(failure(insert + "(1, 1, 'eu', 'bob')"), failure(insert + "(1, 2, 'xx', 'bob')"), failure(insert + "(1, 2, NULL, 'bob')"), failure("SELEC 1")));
        step("refusal", () -> failure(System.getenv("CLIENT_REFUSED")));
        step("prepared", Jdbc::prepared);
        step("stream", Jdbc::stream);
        step("introspection", Jdbc::introspection);
        db.close();
    }
}
