package shop;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.gson.Gson;
import java.security.GeneralSecurityException;
import java.time.Instant;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Signs visitor tokens, in a back end. The secret never leaves it. */
record VisitorToken(String account, String channel, String keyId, String secret) {
    /** A token for a visitor, with what the back end knows of them, such as a verified "email" and a "name". */
    String sign(String visitor, Map<String, String> vouched) throws GeneralSecurityException {
        long now = Instant.now().getEpochSecond();
        Map<String, Object> claims = new HashMap<>(vouched);
        claims.putAll(Map.of("iss", channel, "aud", "frontdesk", "sub", visitor, "account", account, "nbf", now, "exp", now + 3600));
        String signed = part(Map.of("alg", "HS256", "typ", "JWT", "kid", keyId)) + "." + part(claims);
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(secret.getBytes(UTF_8), "HmacSHA256")); // The characters of the secret, which are not decoded.
        return signed + "." + encoded(mac.doFinal(signed.getBytes(UTF_8)));
    }

    private static String part(Map<String, ?> content) {
        return encoded(new Gson().toJson(content).getBytes(UTF_8));
    }

    private static String encoded(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }
}
