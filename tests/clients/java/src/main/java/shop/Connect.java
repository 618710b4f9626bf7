package shop;

import com.google.gson.Gson;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** Connections that repeat calls as the service config says that is published with the protos. Writes have a request id, so a repeat is safe. */
final class Connect {
    @SuppressWarnings("unchecked")
    static ManagedChannel to(String address) throws IOException {
        String published = Files.readString(Path.of("protos/service_config.json"));
        Map<String, ?> serviceConfig = new Gson().fromJson(published, Map.class);
        return NettyChannelBuilder.forTarget(address).usePlaintext().defaultServiceConfig(serviceConfig).build();
    }

    /** The stub with a token. */
    static <S extends AbstractStub<S>> S calling(S stub, String token) {
        Metadata caller = new Metadata();
        caller.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
        return stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(caller));
    }
}
