package shop;

import build.buf.protovalidate.ValidationResult;
import build.buf.protovalidate.ValidatorFactory;
import frontdesk.conversation.v1.SendMessageRequest;
import shop.options.v1.OptionsProto;
import shop.options.v1.Parcel;

/** Frontdesk's stubs beside protovalidate's package and another company's options with the same numbers. */
public final class Beside {
    public static void main(String[] arguments) throws Exception {
        String owner = Parcel.getDescriptor().findFieldByName("id").getOptions().getExtension(OptionsProto.fieldOwner);
        SendMessageRequest request = SendMessageRequest.newBuilder().setChatId("x").setText("Hello").setRequestId("1").build();
        ValidationResult result = ValidatorFactory.newBuilder().build().validate(request);
        String field = result.toProto().getViolations(0).getField().getElements(0).getFieldName();
        if (!owner.equals("warehouse") || result.getViolations().size() != 1 || !field.equals("chat_id")) {
            throw new IllegalStateException(owner + " " + result);
        }
    }
}
