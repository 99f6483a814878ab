import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.FileWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/** Kafka Streams: one windowed aggregate per size, emitted when the window closes; RocksDB and changelog, one thread. */
public final class Bench {
    public static final class Tokens { public long input; public long output; }

    public static final class Answer {
        public String service;
        public String model;
        public String status;
        public double latency_ms;
        public double cost_usd;
        public Tokens tokens;
    }

    public static final class Event { public String time; public Answer data; }

    private static final double BASE = 1.04;
    private static final double SCALE = 1 / Math.log(BASE);
    private static final ObjectMapper JSON =
        new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);
    private static final Map<String, Long> MILLIS = new HashMap<>();
    private static final long TOTAL = Long.parseLong(env("N"));
    private static long seen;

    /** The sums of one pane; the histogram is dense from {@code lowest} on. */
    static final class Sums {
        long n;
        long errors;
        long tokens;
        double latency;
        double cost;
        double most;
        int lowest;
        int[] counts = {};

        Sums add(Answer answer) {
            n++;
            latency += answer.latency_ms;
            cost += answer.cost_usd;
            tokens += answer.tokens.input + answer.tokens.output;
            errors += "ok".equals(answer.status) ? 0 : 1;
            most = Math.max(most, answer.latency_ms);
            count(answer.latency_ms >= 1 ? (int) (Math.log(answer.latency_ms) * SCALE) : 0);
            return this;
        }

        private void count(int index) {
            if (counts.length == 0) lowest = index;
            int from = Math.min(lowest, index);
            int to = Math.max(lowest + counts.length, index + 1);
            if (to - from > counts.length) {
                int[] wider = new int[to - from];
                System.arraycopy(counts, 0, wider, lowest - from, counts.length);
                counts = wider;
                lowest = from;
            }
            counts[index - lowest]++;
        }

        double p95() {
            long left = (long) Math.ceil(0.95 * n);
            for (int i = 0; i < counts.length; i++) {
                left -= counts[i];
                if (left <= 0) return 2 * Math.pow(BASE, lowest + i + 1) / (BASE + 1);
            }
            return 0;
        }

        byte[] bytes() {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream(64 + 4 * counts.length);
            try (DataOutputStream out = new DataOutputStream(bytes)) {
                out.writeLong(n);
                out.writeLong(errors);
                out.writeLong(tokens);
                out.writeDouble(latency);
                out.writeDouble(cost);
                out.writeDouble(most);
                out.writeInt(lowest);
                out.writeInt(counts.length);
                for (int count : counts) out.writeInt(count);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            return bytes.toByteArray();
        }

        static Sums of(byte[] bytes) {
            Sums sums = new Sums();
            try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
                sums.n = in.readLong();
                sums.errors = in.readLong();
                sums.tokens = in.readLong();
                sums.latency = in.readDouble();
                sums.cost = in.readDouble();
                sums.most = in.readDouble();
                sums.lowest = in.readInt();
                sums.counts = new int[in.readInt()];
                for (int i = 0; i < sums.counts.length; i++) sums.counts[i] = in.readInt();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            return sums;
        }
    }

    private static String env(String name) {
        return System.getenv(name);
    }

    private static Event event(byte[] value) {
        try {
            return JSON.readValue(value, Event.class);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] record(String key, int size, long start, Sums sums) {
        String[] names = key.split("\\|");
        Map<String, Object> record = new LinkedHashMap<>();
        record.put("service", names[0]);
        record.put("model", names[1]);
        record.put("window", size);
        record.put("start", start);
        record.put("count", sums.n);
        record.put("errors", sums.errors);
        record.put("latency_sum", sums.latency);
        record.put("cost_sum", sums.cost);
        record.put("tokens_sum", sums.tokens);
        record.put("latency_max", sums.most);
        record.put("latency_p95", sums.p95());
        try {
            return JSON.writeValueAsBytes(record);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static long millis(Event event) {
        if (seen == 0) mark("first");
        if (++seen == TOTAL) mark("last");
        return MILLIS.computeIfAbsent(event.time.substring(0, 19), text -> Instant.parse(text + "Z").toEpochMilli());
    }

    private static void mark(String what) {
        OperatingSystemMXBean machine = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        try (FileWriter marks = new FileWriter(env("BENCH_MARK"), true)) {
            double now = System.currentTimeMillis() / 1e3;
            marks.write(String.format(Locale.ROOT, "%s %.6f %.3f%n", what, now, machine.getProcessCpuTime() / 1e9));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Properties settings() {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, env("RUN_ID"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env("KAFKA"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, env("STATE_DIR"));
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L << 20);
        settings.put("auto.offset.reset", "earliest");
        return settings;
    }

    public static void main(String[] arguments) {
        Serde<Event> events = Serdes.serdeFrom((topic, event) -> null, (topic, value) -> event(value));
        Serde<Sums> sums = Serdes.serdeFrom(
            (topic, pane) -> pane == null ? null : pane.bytes(), (topic, bytes) -> bytes == null ? null : Sums.of(bytes));
        StreamsBuilder builder = new StreamsBuilder();
        KGroupedStream<String, Event> keyed = builder
            .stream(env("IN_TOPIC"), Consumed.with(Serdes.String(), events)
                .withTimestampExtractor((message, previous) -> millis((Event) message.value())))
            .groupByKey(Grouped.with(Serdes.String(), events));
        Duration grace = Duration.ofSeconds(Integer.parseInt(env("GRACE")));
        for (String text : env("WINDOWS").split(",")) {
            int size = Integer.parseInt(text);
            keyed.windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(size), grace))
                .aggregate(Sums::new, (key, event, pane) -> pane.add(event.data),
                    Materialized.<String, Sums, WindowStore<Bytes, byte[]>>as("w" + size)
                        .withKeySerde(Serdes.String()).withValueSerde(sums))
                .suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()))
                .toStream()
                .map((key, pane) -> KeyValue.pair(
                    key.key(), record(key.key(), size, key.window().start() / 1000, pane)))
                .to(env("OUT_TOPIC"), Produced.with(Serdes.String(), Serdes.ByteArray()));
        }
        KafkaStreams streams = new KafkaStreams(builder.build(), settings());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(5))));
        streams.start();
    }
}
