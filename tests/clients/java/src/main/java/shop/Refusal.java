package shop;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.List;
import java.util.Map;

/** What a program decides by, from the details of an error. */
record Refusal(Status.Code code, String domain, String reason, Map<String, String> metadata, List<String> fields, long retryDelayMillis) {
    static Refusal read(StatusRuntimeException error) {
        ErrorInfo info = ErrorInfo.getDefaultInstance();
        BadRequest bad = BadRequest.getDefaultInstance();
        RetryInfo retry = RetryInfo.getDefaultInstance();
        try {
            for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
                if (detail.is(ErrorInfo.class)) info = detail.unpack(ErrorInfo.class);
                if (detail.is(BadRequest.class)) bad = detail.unpack(BadRequest.class);
                if (detail.is(RetryInfo.class)) retry = detail.unpack(RetryInfo.class);
            }
        } catch (InvalidProtocolBufferException unreadable) {
            // The code remains.
        }
        List<String> fields = bad.getFieldViolationsList().stream().map(BadRequest.FieldViolation::getField).toList();
        long delay = retry.getRetryDelay().getSeconds() * 1000 + retry.getRetryDelay().getNanos() / 1_000_000;
        return new Refusal(error.getStatus().getCode(), info.getDomain(), info.getReason(), info.getMetadataMap(), fields, delay);
    }
}
