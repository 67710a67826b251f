import java.nio.file.*;
import java.util.*;
import java.util.concurrent.CountDownLatch;
import org.opensearch.Version;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;
import org.opensearch.transport.Netty4ModulePlugin;

/** One real OpenSearch 3 node on 127.0.0.1. Usage: OsNode HOME_DIR HTTP_PORT(0=any free) [setting=value ...]; stops on SIGTERM,
 *  and at end of stdin when the system property osnode.stdin is true. */
public class OsNode extends Node {
    OsNode(Environment env, Collection<PluginInfo> plugins) { super(env, plugins, true); }

    public static void main(String[] args) throws Exception {
        long t0 = System.nanoTime();
        Path home = Paths.get(args[0]).toAbsolutePath();
        Files.createDirectories(home.resolve("config"));
        Settings.Builder s = Settings.builder()
            .put("path.home", home).put("cluster.name", "osnode").put("node.name", "n1")
            .put("discovery.type", "single-node").put("network.host", "127.0.0.1")
            .put("http.port", args[1]).put("transport.port", "0")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            // by default the breaker counts garbage not yet collected: with a small heap and the serial collector _bulk then fails
            .put("indices.breaker.total.use_real_memory", false);
        for (int i = 2; i < args.length; i++) { String[] kv = args[i].split("=", 2); s.put(kv[0], kv[1]); }
        Environment env = InternalSettingsPreparer.prepareEnvironment(s.build(), Map.of(), null, () -> "n1");
        LogConfigurator.setNodeName("n1");
        LogConfigurator.configureWithoutConfig(env.settings());
        String netty = Netty4ModulePlugin.class.getName();
        PluginInfo http = new PluginInfo(netty, "HTTP and transport", "1", Version.CURRENT, "21", netty, List.of(), false);
        Node node = new OsNode(env, List.of(http));
        CountDownLatch end = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try { node.close(); } catch (Exception e) { e.printStackTrace(); }
        }));
        node.start();
        // read from the cluster state only, so it can't be a node setting; without it every index stays yellow on one node
        node.client().admin().cluster().prepareUpdateSettings()
            .setPersistentSettings(Settings.builder().put("cluster.default_number_of_replicas", 0)).get();
        node.client().admin().cluster().prepareHealth().setWaitForGreenStatus().get();
        var addr = node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress();
        System.out.println(String.format("READY http://127.0.0.1:%d pid=%d %.1fs", addr.getPort(), ProcessHandle.current().pid(), (System.nanoTime() - t0) / 1e9));
        System.out.flush();
        if (Boolean.getBoolean("osnode.stdin")) { while (System.in.read() >= 0) { } System.exit(0); }
        end.await();
    }
}
