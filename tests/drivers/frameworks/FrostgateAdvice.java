import java.sql.SQLException;
import org.springframework.core.NestedRuntimeException;
import org.springframework.http.ResponseEntity;
import org.springframework.jdbc.core.JdbcOperations;
import org.springframework.web.bind.annotation.ControllerAdvice;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.ModelAttribute;

/** A refused write becomes a 503, and pages show a banner for as long as writes are refused. */
@ControllerAdvice
public class FrostgateAdvice {
    private final JdbcOperations db;

    public FrostgateAdvice(JdbcOperations db) {
        this.db = db;
    }

    // Of JDBC, JPA and transactions alike: what they have in common is the cause.
    @ExceptionHandler(NestedRuntimeException.class)
    public ResponseEntity<String> refused(NestedRuntimeException error) {
        Throwable cause = error.getMostSpecificCause();
        if (cause instanceof SQLException && "25006".equals(((SQLException) cause).getSQLState())) {
            return ResponseEntity.status(503).header("Retry-After", "60").body("Under maintenance: reading only.");
        }
        throw error;
    }

    @ModelAttribute("readOnly")
    public boolean readOnly() {
        return db.queryForObject("SELECT current_setting('transaction_read_only') = 'on'", Boolean.class);
    }
}
