package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"time"
)

// issuer is what a back end signs visitor tokens with. The secret never leaves it.
type issuer struct {
	account, channel, keyID, secret string
}

// visitorToken signs a token for a visitor, with what the back end knows of them, such as a verified "email" and a "name".
func (i issuer) visitorToken(visitor string, vouched map[string]string) string {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": i.channel, "aud": "frontdesk", "sub": visitor, "account": i.account, "nbf": now, "exp": now + 3600,
	}
	for name, value := range maps.All(vouched) {
		claims[name] = value
	}
	part := func(value any) string { return base64.RawURLEncoding.EncodeToString(must(json.Marshal(value))) }
	signed := part(map[string]string{"alg": "HS256", "typ": "JWT", "kid": i.keyID}) + "." + part(claims)
	// The key is the characters of the secret, which are not decoded.
	signature := hmac.New(sha256.New, []byte(i.secret))
	signature.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature.Sum(nil))
}
