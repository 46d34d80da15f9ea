import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.reindex.ReindexPlugin;
import org.elasticsearch.index.mapper.MapperExtrasPlugin;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.transport.Netty4Plugin;

/**
 * Starts one Elasticsearch node from the jars on the class path: Maven Central has the server and these modules, but not
 * the distribution, whose own launcher looks for them in folders. Settings come from {@code <path.home>/config}.
 */
public final class Launcher {
    /** The constructor that takes plugin classes is protected. */
    private static final class LocalNode extends Node {
        LocalNode(Environment environment) {
            super(environment, List.of(Netty4Plugin.class, ReindexPlugin.class, MapperExtrasPlugin.class), false);
        }
    }

    public static void main(String[] args) throws Exception {
        Settings home = Settings.builder().put("path.home", args[0]).build();
        Path config = Path.of(args[0], "config");
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(home, Map.of(), config, () -> "folio-local");
        Node node = new LocalNode(environment);
        CountDownLatch closed = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
                node.awaitClose(10, TimeUnit.SECONDS);
            } catch (Exception e) {
                e.printStackTrace();
            } finally {
                closed.countDown();
            }
        }));
        node.start();
        closed.await();
    }
}
