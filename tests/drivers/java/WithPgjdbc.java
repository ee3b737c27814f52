import java.sql.*;
import java.util.*;
import java.util.concurrent.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.ds.PGPoolingDataSource;
import org.postgresql.util.PSQLException;

/** pgjdbc, with a pool. A statement becomes a named one of the server's at its fifth execution. */
@SuppressWarnings("deprecation")
public final class WithPgjdbc {
    static final Map<String, String> ENV = System.getenv();
    static final String URL = "jdbc:postgresql://" + ENV.get("PGHOST") + ":" + ENV.get("PGPORT") + "/" + ENV.get("PGDATABASE");
    static final String TYPES = "SELECT 7::int2, 42::int4, 9007199254740993::int8, 1.5::float8, 12.3450::numeric, "
        + "'Grüße'::text, '\\xdeadbeef'::bytea, true, NULL::text, DATE '2026-11-20', "
        + "INTERVAL '1 day 2 hours', ARRAY[1,2,NULL], '{\"a\": [1, null]}'::jsonb, "
        + "'6f1c1f7e-3b0a-4a5e-9d4e-0a1b2c3d4e5f'::uuid";
    static final String READ = "SELECT count(*) FROM notes";
    static final String INSERT = "INSERT INTO notes (body) VALUES (?)";

    interface Act {
        Object run() throws Exception;
    }

    static void say(String what, Object value) {
        System.out.println(what + ": " + value);
    }

    static Object told(Act act) throws Exception {
        try {
            return act.run();
        } catch (SQLException error) {
            String text = error instanceof PSQLException said && said.getServerErrorMessage() != null
                ? said.getServerErrorMessage().getMessage() : error.getMessage();
            return error.getClass().getName() + " " + error.getSQLState() + " " + text;
        }
    }

    static void turn(String command) throws Exception {
        Process process = new ProcessBuilder("sh", "-c", ENV.get(command)).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
        if (process.waitFor() != 0) throw new IllegalStateException(command);
    }

    static Connection connect() throws SQLException {
        return DriverManager.getConnection(URL, ENV.get("PGUSER"), ENV.get("PGPASSWORD"));
    }

    static long count(Connection db) throws SQLException {
        try (Statement statement = db.createStatement(); ResultSet rows = statement.executeQuery(READ)) {
            rows.next();
            return rows.getLong(1);
        }
    }

    static int insert(Connection db, String body) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(INSERT)) {
            statement.setString(1, body);
            return statement.executeUpdate();
        }
    }

    static List<List<Object>> all(ResultSet rows) throws SQLException {
        List<List<Object>> all = new ArrayList<>();
        while (rows.next()) {
            List<Object> row = new ArrayList<>();
            for (int n = 1; n <= rows.getMetaData().getColumnCount(); n++) {
                Object value = rows.getObject(n);
                row.add(value instanceof byte[] bytes ? Arrays.toString(bytes) : String.valueOf(value));
            }
            all.add(row);
        }
        return all;
    }

    static void plain() throws Exception {
        try (Connection db = connect(); Statement statement = db.createStatement()) {
            say("server", db.getMetaData().getDatabaseProductVersion());
            say("types", all(statement.executeQuery(TYPES)));
            try (PreparedStatement prepared = db.prepareStatement("SELECT ?::int + 1, ?::text")) {
                for (int n = 0; n < 8; n++) {
                    prepared.setInt(1, n);
                    prepared.setString(2, "ä".repeat(n));
                    say("prepared", all(prepared.executeQuery()));
                }
            }
            try (PreparedStatement keys = db.prepareStatement(INSERT, Statement.RETURN_GENERATED_KEYS)) {
                keys.setString(1, "third");
                keys.executeUpdate();
                say("returning", all(keys.getGeneratedKeys()));
            }
            say("updated", statement.executeUpdate("UPDATE notes SET body = body || '!'"));
            say("unique", told(() -> insert(db, "third!")));
            say("syntax", told(() -> statement.execute("SELEC 1")));
            db.setAutoCommit(false);
            insert(db, "kept");
            Savepoint savepoint = db.setSavepoint();
            insert(db, "dropped");
            db.rollback(savepoint);
            db.commit();
            try (PreparedStatement batch = db.prepareStatement(INSERT)) {
                for (int n = 0; n < 300; n++) {
                    batch.setString(1, "many " + n);
                    batch.addBatch();
                }
                say("batch", Arrays.stream(batch.executeBatch()).sum());
            }
            db.commit();
            try (Statement cursor = db.createStatement()) {
                cursor.setFetchSize(50);
                long sum = 0;
                ResultSet rows = cursor.executeQuery("SELECT generate_series(1, 5000)");
                while (rows.next()) sum += rows.getLong(1);
                say("fetched in parts", sum);
            }
            db.commit();
            db.setAutoCommit(true);
            CopyManager copy = db.unwrap(PGConnection.class).getCopyAPI();
            say("copied", copy.copyIn("COPY notes (body) FROM STDIN", new java.io.StringReader("one\ntwo\n")));
            say("notes", all(statement.executeQuery("SELECT body FROM notes ORDER BY id")));
            statement.execute("LISTEN news");
            statement.execute("NOTIFY news, 'hello'");
            say("notified", db.unwrap(PGConnection.class).getNotifications(5000)[0].getParameter());
            statement.setQueryTimeout(1);
            say("cancelled", told(() -> statement.execute("SELECT pg_sleep(20)")));
            say("valid", db.isValid(5));
            say("catalog", all(db.getMetaData().getColumns(null, "public", "notes", null)));
        }
    }

    static PGPoolingDataSource pool() {
        PGPoolingDataSource pool = new PGPoolingDataSource();
        pool.setDataSourceName("notes");
        pool.setUrl(URL);
        pool.setUser(ENV.get("PGUSER"));
        pool.setPassword(ENV.get("PGPASSWORD"));
        pool.setMaxConnections(1);
        return pool;
    }

    static int pid(Connection db) throws SQLException {
        return db.unwrap(PGConnection.class).getBackendPID();
    }

    static Object pooled(PGPoolingDataSource pool, String what) throws Exception {
        try (Connection db = pool.getConnection()) {
            return switch (what) {
                case "pid" -> pid(db);
                case "count" -> count(db);
                default -> insert(db, what);
            };
        }
    }

    static void frozen() throws Exception {
        PGPoolingDataSource pool = pool();
        // As Spring and Hibernate do where the URL asks for a writable server.
        String url = URL + "?targetServerType=primary&preferQueryMode=extended";
        try (Connection db = DriverManager.getConnection(url, ENV.get("PGUSER"), ENV.get("PGPASSWORD"));
             PreparedStatement read = db.prepareStatement(READ);
             PreparedStatement write = db.prepareStatement(INSERT)) {
            int pid = pid(db);
            Object pooled = pooled(pool, "pid");
            write.setString(1, "before");
            write.executeUpdate();
            write.unwrap(org.postgresql.PGStatement.class).setPrepareThreshold(1);
            for (int n = 0; n < 7; n++) read.executeQuery().close();
            turn("FREEZE");
            say("simple read", count(db));
            ResultSet rows = read.executeQuery();
            rows.next();
            say("prepared read", rows.getLong(1));
            db.setAutoCommit(false);
            say("read in a transaction", count(db));
            db.commit();
            // As Spring does around what is marked as read-only.
            db.setReadOnly(true);
            count(db);
            db.commit();
            db.setReadOnly(false);
            db.setAutoCommit(true);
            say("read in a pool", pooled(pool, "count"));
            say("write", told(() -> db.createStatement().executeUpdate("INSERT INTO notes (body) VALUES ('refused')")));
            write.setString(1, "refused");
            say("prepared write", told(write::executeUpdate));
            db.setAutoCommit(false);
            say("write in a transaction", told(() -> db.createStatement().executeUpdate("UPDATE notes SET body = 'refused' WHERE id = 1")));
            db.rollback();
            db.setAutoCommit(true);
            say("write in a pool", told(() -> pooled(pool, "refused")));
            say("read after it", count(db));
            say("read in the pool after it", pooled(pool, "count"));
            say("same connection in the pool", pooled(pool, "pid").equals(pooled));
            say("same connection", pid(db) == pid && db.isValid(5));
            turn("THAW");
            rows = read.executeQuery();
            rows.next();
            say("thawed, prepared read", rows.getLong(1));
            write.setString(1, "after");
            say("thawed, prepared write", write.executeUpdate());
            say("thawed, write in the pool", pooled(pool, "after, in the pool"));
        } finally {
            pool.close();
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("plain")) plain(); else frozen();
    }
}
