import java.util.Map;
import org.springframework.dao.DataAccessException;
import org.springframework.http.ResponseEntity;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;
import org.springframework.mock.web.MockHttpServletResponse;
import org.springframework.test.web.servlet.MockMvc;
import org.springframework.test.web.servlet.request.MockMvcRequestBuilders;
import org.springframework.test.web.servlet.setup.MockMvcBuilders;
import org.springframework.transaction.support.TransactionTemplate;
import org.springframework.ui.Model;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestMethod;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseBody;

/** A site in Spring that reads in a transaction that is read-only, and writes in one that is not. */
public final class SpringSite {
    static final class Notes {
        private final JdbcTemplate db;
        private final TransactionTemplate reading;
        private final TransactionTemplate writing;

        Notes(JdbcTemplate db) {
            this.db = db;
            reading = new TransactionTemplate(new DataSourceTransactionManager(db.getDataSource()));
            reading.setReadOnly(true);
            writing = new TransactionTemplate(new DataSourceTransactionManager(db.getDataSource()));
        }

        @RequestMapping(path = "/notes", method = RequestMethod.GET)
        @ResponseBody
        public String all(Model model) {
            Integer count = reading.execute(status -> db.queryForObject("SELECT count(*) FROM notes", Integer.class));
            boolean banner = Boolean.TRUE.equals(model.asMap().get("readOnly"));
            return (banner ? "<p class=banner>Under maintenance.</p>" : "") + count + " notes";
        }

        @RequestMapping(path = "/notes", method = RequestMethod.POST)
        public ResponseEntity<Void> create(@RequestParam("body") String body) {
            try {
                writing.execute(status -> db.update("INSERT INTO notes (body) VALUES (?)", body));
            } catch (DataAccessException error) {
                System.err.println(error.getClass().getName());
                throw error;
            }
            return ResponseEntity.status(201).build();
        }
    }

    private static MockMvc site;

    static void get(String when) throws Exception {
        MockHttpServletResponse answer = site.perform(MockMvcRequestBuilders.get("/notes")).andReturn().getResponse();
        String text = answer.getContentAsString();
        String banner = text.contains("banner") ? ", with a banner" : "";
        System.out.println(when + ": " + answer.getStatus() + " " + text.substring(text.lastIndexOf('>') + 1) + banner);
    }

    static void post(String when, String body) throws Exception {
        MockHttpServletResponse answer = site.perform(MockMvcRequestBuilders.post("/notes").param("body", body)).andReturn().getResponse();
        String later = answer.getHeader("Retry-After");
        System.out.println(when + ": " + answer.getStatus() + (later == null ? "" : " Retry-After " + later));
    }

    static void turn(String command) throws Exception {
        Process process = new ProcessBuilder("sh", "-c", System.getenv(command)).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
        if (process.waitFor() != 0) throw new IllegalStateException(command);
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> env = System.getenv();
        SingleConnectionDataSource one = new SingleConnectionDataSource(
            "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE"),
            env.get("PGUSER"), env.get("PGPASSWORD"), true);
        JdbcTemplate db = new JdbcTemplate(one);
        site = MockMvcBuilders.standaloneSetup(new Notes(db)).setControllerAdvice(new FrostgateAdvice(db)).build();
        get("open, GET");
        post("open, POST", "before");
        if (arguments[0].equals("frozen")) {
            turn("FREEZE");
            get("frozen, GET");
            post("frozen, POST", "refused");
            get("frozen, GET after it");
            turn("THAW");
        }
        post("thawed, POST", "after");
        post("thawed, POST again", "after, in the pool");
        get("thawed, GET");
        one.destroy();
    }
}
