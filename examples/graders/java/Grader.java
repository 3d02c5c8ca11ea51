import java.io.IOException;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import javax.tools.ToolProvider;

/**
 * Marks Java programs: a class Solution with a method {@code static int add(int a, int b)}. The submission is
 * /tmp/exercise; to run this by hand, name another file.
 */
public class Grader {
    private static final int SECONDS = 10;
    private static final int[][] CASES = {{2, 3, 5}, {-1, 1, 0}, {40, 2, 42}};

    /** Runs in a process of its own, and writes what add() gives into a file: what the submission prints goes nowhere. */
    private static final String HARNESS = """
            public class Harness {
                public static void main(String[] given) throws Exception {
                    var out = java.nio.file.Path.of(given[2]);
                    String told;
                    try {
                        told = "" + Solution.add(Integer.parseInt(given[0]), Integer.parseInt(given[1]));
                    } catch (Throwable error) {
                        told = error.toString();
                    }
                    java.nio.file.Files.writeString(out, told);
                    Runtime.getRuntime().halt(0);
                }
            }
            """;

    public static void main(String[] arguments) throws Exception {
        Path submission = Path.of(arguments.length > 0 ? arguments[0] : "/tmp/exercise");
        // From the job's params (correction-runner try … --param OUT_OF=100).
        double outOf = Double.parseDouble(System.getenv().getOrDefault("OUT_OF", "10"));
        Path work = Files.createTempDirectory("grader");
        Files.copy(submission, work.resolve("Solution.java"));
        Files.writeString(work.resolve("Harness.java"), HARNESS);

        String fault = compiled(work);
        if (fault != null) {
            verdict("{\"success\": false, \"error\": " + json("It does not compile: " + fault) + "}");
        }
        int right = 0;
        List<String> comments = new ArrayList<>();
        for (int[] one : CASES) {
            String call = "add(" + one[0] + ", " + one[1] + ")";
            String told = call(work, one[0], one[1]);
            if (told.equals(String.valueOf(one[2]))) {
                right++;
                comments.add(json(call + ": right"));
            } else {
                comments.add(json(call + ": wrong, it is " + one[2] + "; yours: " + told));
            }
        }
        double grade = Math.round(right * outOf / CASES.length * 100) / 100.0;
        verdict("{\"success\": true, \"grade\": " + grade + ", \"comments\": [" + String.join(", ", comments) + "]}");
    }

    /** Compiles the submission; gives what is wrong with it, or null. */
    private static String compiled(Path work) throws IOException {
        var compiler = ToolProvider.getSystemJavaCompiler();
        var said = new StringWriter();
        try (var files = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8)) {
            var sources = files.getJavaFileObjects(work.resolve("Harness.java"), work.resolve("Solution.java"));
            var options = List.of("-d", work.toString(), "-proc:none");
            boolean well = compiler.getTask(said, files, null, options, null, sources).call();
            return well ? null : said.toString().replace(work + "/", "").strip();
        }
    }

    /** What add(a, b) gives, or what went wrong. */
    private static String call(Path work, int a, int b) throws Exception {
        Path result = work.resolve("result");
        Files.deleteIfExists(result);
        var java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        var command = List.of(java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", work.toString(), "Harness",
                String.valueOf(a), String.valueOf(b), result.toString());
        var process = new ProcessBuilder(command).redirectInput(new java.io.File("/dev/null"))
                .redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        if (!process.waitFor(SECONDS, TimeUnit.SECONDS)) {
            // With whatever it started, which would go on beside the next case.
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
            return "it took longer than " + SECONDS + " s";
        }
        return Files.exists(result) ? Files.readString(result) : "the program ended without a result";
    }

    private static void verdict(String json) {
        System.out.println("-----BEGIN CORRECTOMATIC RESPONSE-----");
        System.out.println(json);
        System.out.println("-----END CORRECTOMATIC RESPONSE-----");
        System.exit(0);
    }

    /** A text as JSON has it, whatever a student wrote. */
    private static String json(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char letter : text.toCharArray()) {
            if (letter == '"' || letter == '\\') {
                json.append('\\').append(letter);
            } else if (letter < ' ' || letter > '~') {
                json.append(String.format("\\u%04x", (int) letter));
            } else {
                json.append(letter);
            }
        }
        return json.append('"').toString();
    }
}
